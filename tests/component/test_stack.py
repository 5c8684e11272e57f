"""The embedded stack from the upload to the record, with worker processes."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.component.container import READING, Container, served
from tests.support.pictures import picture
from worker.aws import uploads
from worker.aws.uploads import Uploaded
from worker.commands.support import local_stack
from worker.errors import SettingsError
from worker.receipts.record import Record
from worker.results.polling import records, wait_for
from worker.workbench.local.clients import clients
from worker.workbench.local.emulator import SAVE_S
from worker.workbench.local.stack import Stack

QUICK = {
    "RECEIPTS_VISIBILITY_S": "4",
    "RECEIPTS_HEARTBEAT_S": "1",
    "RECEIPTS_RECEIVE_WAIT_S": "1",
    "RECEIPTS_ENDPOINT_TIMEOUT_S": "2",
}
"""Settings for a quick recovery."""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's own directory for running stacks."""
    path = tmp_path / "runtime"
    path.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[int], list[Path]]:
    def draw(count: int) -> list[Path]:
        paths = [tmp_path / f"receipt {number}.jpg" for number in range(count)]
        for number, path in enumerate(paths):
            path.write_bytes(picture(number + 1))
        return paths

    return draw


async def send(stack: Stack, paths: list[Path]) -> list[Uploaded]:
    """Upload files to the stack's bucket."""
    keys = uploads.keys(paths)
    bucket = stack.resources.bucket
    return [await uploads.put(stack.clients.s3, path, bucket=bucket, key=key) for path, key in keys.items()]


async def answered(stack: Stack, sent: list[Uploaded], *, within_s: float = 60) -> dict[str, Record]:
    """Wait for the records of `sent`."""
    async with asyncio.timeout(within_s):
        return {
            record.document: record
            async for _, record in wait_for(stack.clients.dynamodb, stack.resources.table, sent, look_s=0.1)
        }


async def settled(stack: Stack, *, within_s: float = 30) -> None:
    """Wait until the queue is empty, and check that the dead-letter queue is."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    async with asyncio.timeout(within_s):
        while True:
            answer = await stack.clients.sqs.get_queue_attributes(
                QueueUrl=stack.resources.queue_url, AttributeNames=names
            )
            if set(answer["Attributes"].values()) == {"0"}:
                break
            await asyncio.sleep(0.1)
    dead = await stack.clients.sqs.get_queue_attributes(QueueUrl=stack.resources.dead_letter_url, AttributeNames=names)
    assert set(dead["Attributes"].values()) == {"0"}


async def test_a_killed_worker_loses_nothing(pictures: Callable[[int], list[Path]]) -> None:
    """The next worker processes the receipts of a killed one, and each gets exactly one record."""
    container, reached, leave = Container(), asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        reached.set()
        await leave.wait()
        return web.json_response(READING)

    container.handler = hang
    async with served(container) as url, Stack(container_url=url, variables=QUICK) as stack:
        sent = await send(stack, pictures(6))
        await asyncio.wait_for(reached.wait(), 30)
        await stack.kill_worker(stack.workers[0])
        assert await records(stack.clients.dynamodb, stack.resources.table, [up.document for up in sent]) == {}
        leave.set()
        await stack.add_worker()
        found = await answered(stack, sent)
        await settled(stack)
        assert {record.status for record in found.values()} <= {"extracted", "needs_review"}
        again = await records(stack.clients.dynamodb, stack.resources.table, found)
        assert [record.revision for record in again.values()] == [1] * len(sent)
        assert stack.deaths.empty()


async def test_a_stopped_worker_ends_with_0_and_releases(pictures: Callable[[int], list[Path]]) -> None:
    """A worker that is stopped while it works exits in time, and another one processes the receipt at once."""
    container, reached, leave = Container(), asyncio.Event(), asyncio.Event()

    async def hang_once(_request: web.Request) -> web.Response:
        if not reached.is_set():
            reached.set()
            await leave.wait()
        return web.json_response(READING)

    container.handler = hang_once
    variables = {"RECEIPTS_DRAIN_S": "0.5", "RECEIPTS_STOP_TIMEOUT_S": "10", "RECEIPTS_RECEIVE_WAIT_S": "1"}
    async with served(container) as url, Stack(container_url=url, variables=variables) as stack:
        sent = await send(stack, pictures(1))
        await asyncio.wait_for(reached.wait(), 30)
        assert await stack.stop_worker(stack.workers[0]) == 0
        leave.set()
        await stack.add_worker()
        # Far less than the first worker's visibility timeout of 120 s.
        assert len(await answered(stack, sent)) == 1


async def test_two_stacks_run_side_by_side(pictures: Callable[[int], list[Path]], runtime: Path) -> None:
    """Each stack has its own ports, bucket and table, is listed once published, and leaves no files."""
    files = pictures(2)
    first, second = Container(), Container()
    async with served(first) as one, served(second) as other:
        async with Stack(container_url=one) as a, Stack(container_url=other, workers=2) as b:
            assert local_stack.running() == []
            a.publish()
            b.publish()
            assert [stack.http_port for stack in local_stack.running()] == [b.http_port, a.http_port]
            sent_a, sent_b = await asyncio.gather(send(a, files[:1]), send(b, files[1:]))
            await asyncio.gather(answered(a, sent_a), answered(b, sent_b))
            seen_elsewhere = await records(b.clients.dynamodb, b.resources.table, [sent_a[0].document])
        assert seen_elsewhere == {}
        assert (len(first.seen), len(second.seen)) == (1, 1)
    assert list(runtime.iterdir()) == []


async def test_data_outlives_the_stack(pictures: Callable[[int], list[Path]], tmp_path: Path) -> None:
    """With a data directory a second run has the objects, versions and records of the first, on other ports."""
    data, container = tmp_path / "data", Container()
    async with served(container) as url:
        async with Stack(container_url=url, data=data) as stack:
            (sent,) = await send(stack, pictures(1))
            (record,) = (await answered(stack, [sent])).values()
            await settled(stack)
            with pytest.raises(SettingsError, match="in use"):
                await Stack(container_url=url, data=data).__aenter__()
        async with Stack(container_url=url, data=data) as stack:
            assert await records(stack.clients.dynamodb, stack.resources.table, [sent.document]) == {
                sent.document: record
            }
            head = await stack.clients.s3.head_object(Bucket=sent.bucket, Key=sent.key)
            assert head["VersionId"] == sent.version.version_id
            assert stack.resources.queue_url.startswith(stack.clients.sqs.meta.endpoint_url)
            (again,) = await send(stack, pictures(1))
            assert (await answered(stack, [again]))[sent.document].revision == 2
    assert len(container.seen) == 1


async def test_data_outlives_a_kill(pictures: Callable[[int], list[Path]], tmp_path: Path) -> None:
    """After a kill, the next stack has all records and processes the uploads without one."""
    data, container = tmp_path / "data", Container()
    async with served(container) as url:
        first, second = pictures(2)
        stack = await Stack(container_url=url, data=data).__aenter__()
        (done,) = await send(stack, [first])
        before = await answered(stack, [done])
        await asyncio.sleep(2 * SAVE_S)
        for worker in stack.workers.copy():
            await stack.kill_worker(worker)
        (unread,) = await send(stack, [second])
        stack.abandon()
        await stack.__aexit__()
        async with Stack(container_url=url, data=data) as stack:
            assert stack.enqueued_again == 1
            found = await answered(stack, [done, unread])
            assert found[done.document] == before[done.document]
            assert found[unread.document].status == "extracted"
            await settled(stack)
        async with Stack(container_url=url, data=data) as stack:
            assert stack.enqueued_again == 0
    assert len(container.seen) == 2


async def test_a_part_that_ends_is_reported(pictures: Callable[[int], list[Path]]) -> None:
    """A worker that cannot start is reported with its error, and is not restarted silently."""
    async with served(Container()) as url, Stack(container_url=url, variables={"RECEIPTS_DRAIN_S": "99"}) as stack:
        death = await asyncio.wait_for(stack.deaths.get(), 30)
    assert (death.name, death.status) == ("worker-1", 2)
    assert "RECEIPTS_DRAIN_S" in death.last_words


async def test_the_users_aws_configuration_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's profile, role, endpoints and invalid values affect neither the stack nor its workers."""
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:9\n")
    for name, value in {
        "AWS_PROFILE": "work",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_DEFAULTS_MODE": "bogus",
        "AWS_STS_REGIONAL_ENDPOINTS": "bogus",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "bogus",
        "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "abc",
        "AWS_MAX_ATTEMPTS": "abc",
        "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/x",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "RECEIPTS_QUEUE_URL": "http://127.0.0.1:9/queue",
    }.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "x.jpg"
    path.write_bytes(picture(1))
    async with served(Container()) as url, Stack(container_url=url) as stack:
        assert len(await answered(stack, await send(stack, [path]))) == 1
        async with clients(stack.environment) as others:
            assert (await others.s3.list_buckets())["Buckets"][0]["Name"] == stack.resources.bucket


FLAT = {"storeName": "OAK STREET MARKET", "purchaseDate": "26-10-2023", "total": 42.58}


def _plain(content: str) -> str:
    return content


def _fenced(content: str) -> str:
    return f"Here is the JSON:\n```json\n{content}\n```"


def _chat(wrap: Callable[[str], str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer like a vLLM container."""

    async def complete(_request: web.Request) -> web.Response:
        message = {"role": "assistant", "content": wrap(json.dumps(FLAT))}
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": "google/gemma-4-E4B-it",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
            }
        )

    return complete


@pytest.mark.parametrize("wrap", [_plain, _fenced], ids=["plain", "in code fences"])
async def test_a_chat_endpoint_works_by_configuration_alone(
    pictures: Callable[[int], list[Path]], wrap: Callable[[str], str]
) -> None:
    """A chat endpoint with flat fields and day-first dates gives a correct record, with settings alone."""
    container = Container()
    container.handler = _chat(wrap)
    variables = {
        "RECEIPTS_PROTOCOL": "chat",
        "RECEIPTS_CHAT_SCHEMA": "flat",
        "RECEIPTS_CHAT_EXTRA": '{"temperature":0}',
    }
    async with served(container) as url, Stack(container_url=url, variables=variables) as stack:
        (path,) = pictures(1)
        (record,) = (await answered(stack, await send(stack, [path]))).values()
    assert record.receipt is not None
    assert record.receipt.merchant.name == "OAK STREET MARKET"
    assert record.receipt.model_dump(mode="json")["purchase_date"] == "2023-10-26"
    assert record.receipt.model_dump(mode="json")["total"] == "42.58"
    assert record.model is not None
    assert (record.model.protocol, record.model.usage["total_tokens"]) == ("chat", 340)
    (body,) = container.bodies
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    (image,) = [part for part in body["messages"][1]["content"] if part["type"] == "image_url"]
    assert base64.b64decode(image["image_url"]["url"].partition("base64,")[2])[:2] == b"\xff\xd8"
    assert body["response_format"]["type"] == "json_schema"
    assert body["temperature"] == 0
