"""A worker inside another asyncio program."""

import asyncio
import signal
import threading
from typing import Any

import aiohttp
import pytest

from tests.component.emulators import Aws
from tests.component.stage import record, until, upload
from tests.support.endpoint import FakeEndpoint
from tests.support.pictures import picture
from worker.errors import SettingsError
from worker.runtime.worker import Worker
from worker.settings import Settings

HANDLED = (signal.SIGTERM, signal.SIGINT)


def settings(aws: Aws, **changes: Any) -> Settings:
    """Return the settings of a worker that stops fast."""
    return Settings(**(aws.settings.model_dump() | {"http_port": 0, "drain_s": 5, "receive_wait_s": 1} | changes))


@pytest.mark.not_on("moto", "concurrency")
async def test_two_workers_share_a_program_and_one_stops(aws: Aws, endpoint: FakeEndpoint) -> None:
    """Stopping one worker ends only that worker: the program and the other worker go on."""
    ticks = 0

    async def program() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    before = [signal.getsignal(number) for number in HANDLED]
    ticking = asyncio.create_task(program())
    async with Worker(settings(aws)) as first, Worker(settings(aws)) as second:
        running = [asyncio.create_task(worker.run()) for worker in (first, second)]
        await upload(aws, "both.jpg", picture(1))
        await until(lambda: record(aws, "both.jpg"))
        threading.Thread(target=first.stop).start()  # from another thread, twice
        first.stop()
        await asyncio.wait_for(running[0], 15)
        assert not running[1].done()
        await upload(aws, "second.jpg", picture(2))
        await until(lambda: record(aws, "second.jpg"))
        so_far = ticks
        await asyncio.sleep(0.1)
        assert ticks > so_far
        second.stop()
        await asyncio.wait_for(running[1], 15)
    assert [signal.getsignal(number) for number in HANDLED] == before
    ticking.cancel()
    assert sum(endpoint.calls.values()) == 2


async def test_a_cancelled_run_drains_first(aws: Aws, endpoint: FakeEndpoint) -> None:
    """Cancelling `run` lets the receipt in flight finish, and then raises CancelledError."""
    endpoint.service_s = lambda: 1.0
    async with Worker(settings(aws)) as worker:
        running = asyncio.create_task(worker.run())
        await upload(aws, "slow.jpg", picture(3))

        async def invoking() -> bool:
            return endpoint.begun > 0

        await until(invoking)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await record(aws, "slow.jpg")


async def test_a_worker_that_is_stopped_first_does_not_run(aws: Aws) -> None:
    """`stop` before the block or before `run` is honoured."""
    worker = Worker(settings(aws))
    worker.stop()
    async with worker:
        await asyncio.wait_for(worker.run(), 5)
    async with Worker(settings(aws)) as stopped:
        stopped.stop()
        await asyncio.wait_for(stopped.run(), 15)
    stopped.stop()


async def test_a_worker_works_only_while_it_is_open(aws: Aws) -> None:
    """Outside its block `run` is refused instead of returning as if all was done."""
    worker = Worker(settings(aws))
    with pytest.raises(RuntimeError, match="not open"):
        await worker.run()
    async with worker:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        await worker.run()


async def test_a_taken_port_is_one_clear_error(aws: Aws) -> None:
    """The program gets the SettingsError itself, not a group, and nothing of the worker is left."""
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(SettingsError, match="RECEIPTS_HTTP_PORT"):
        async with Worker(settings(aws, http_port=port)):
            pass
    taken.close()
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task.get_name() in {"settler", "lease-keeper", "poller"}] == []


async def test_health_answers_while_the_worker_waits_for_its_queue(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """While SQS is away the worker is alive, not ready, and says which dependency it waits for; stop ends it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    worker = Worker(settings(aws, call_base_s=0.05, call_cap_s=0.1))
    opening = asyncio.create_task(worker.__aenter__())

    async def sqs_is_open() -> bool:
        return worker.address is not None and any(breaker.open for breaker in worker._dependencies.breakers)

    await until(sqs_is_open)
    assert worker.address is not None
    host, port = worker.address
    async with aiohttp.ClientSession(f"http://{host}:{port}") as http:
        async with http.get("/health") as answer:
            report = await answer.json()
            assert (answer.status, report["status"], report["breakers"]["sqs"]["open"]) == (200, "starting", True)
        async with http.get("/ready") as answer:
            assert (answer.status, (await answer.json())["ready"]) == (503, False)
    worker.stop()
    await asyncio.wait_for(opening, 10)
    await asyncio.wait_for(worker.run(), 5)
    await worker.__aexit__(None, None, None)


@pytest.mark.parametrize("missing", ["queue_url", "endpoint"])
def test_a_missing_setting_is_refused_on_construction(missing: str) -> None:
    """A worker without a queue or an endpoint cannot be made."""
    values: dict[str, Any] = {"queue_url": "https://sqs.eu-central-1.amazonaws.com/1/q", "endpoint": "e"}
    values[missing] = None
    with pytest.raises(SettingsError, match=missing.upper()):
        Worker(Settings(**values))
