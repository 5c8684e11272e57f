"""Autoscaling of worker processes by the embedded queue."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from tests.component.container import READING, Container, served
from tests.support.pictures import picture
from worker.aws import uploads
from worker.results.polling import wait_for
from worker.workbench.local.autoscaler import Autoscaler
from worker.workbench.local.stack import Stack
from worker.workbench.scaling.policy import ScalingPolicy

VARIABLES = {"RECEIPTS_MAX_IN_FLIGHT": "4", "RECEIPTS_INVOCATIONS": "4", "RECEIPTS_RECEIVE_WAIT_S": "1"}
POLICY = ScalingPolicy(receipt_s=1, slots_per_task=4, acceptable_latency_s=4, busy_share=1, max_tasks=3)


async def until(true: Callable[[], bool], *, within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.05)


async def read(stack: Stack, path: Path, numbers: range, *, meanwhile: Callable[[], bool] = lambda: True) -> None:
    """Send pictures, wait until `meanwhile` is true, then wait for all their records."""
    sent = []
    for number in numbers:
        file = path / f"{number}.jpg"
        file.write_bytes(picture(number))
        sent.append(await uploads.put(stack.clients.s3, file, bucket=stack.resources.bucket, key=file.name))
    await until(meanwhile)
    async with asyncio.timeout(60):
        found = [record async for _, record in wait_for(stack.clients.dynamodb, stack.resources.table, sent)]
    assert len(found) == len(numbers)


async def test_workers_follow_the_queue(tmp_path: Path) -> None:
    """From zero workers, a long queue starts three and one message starts one; at the end none runs."""
    container, leave = Container(), asyncio.Event()
    told: list[str] = []

    async def slow(_request: web.Request) -> web.Response:
        await leave.wait()
        return web.json_response(READING)

    def three() -> bool:
        if len(stack.workers) == 3:
            leave.set()
        return leave.is_set()

    container.handler = slow
    async with served(container) as url, Stack(workers=0, container_url=url, variables=VARIABLES) as stack:
        scaler = Autoscaler(stack, POLICY, tell=told.append, scale_in_after_s=2, look_s=0.1)
        running = asyncio.create_task(scaler.run())
        try:
            await read(stack, tmp_path, range(60), meanwhile=three)
            await until(lambda: not any(child.name.startswith("worker-") for child in stack._family.children))
            grown = len(told)
            await read(stack, tmp_path, range(100, 101))
            await until(lambda: not stack.workers)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert stack.deaths.empty()
    assert [sentence.partition(" (")[0] for sentence in told[grown:]] == ["Workers: 0 to 1", "Workers: 1 to 0"]
    assert len(container.seen) == 61
