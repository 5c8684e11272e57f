"""A worker that is stopped, killed or frozen loses nothing and does nothing twice."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.stage import CONCURRENT, empty, left, queued, record, until, upload
from tests.support.endpoint import FakeEndpoint
from tests.support.fleet import Fleet
from tests.support.pictures import picture


@pytest.fixture
def fleet(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], tmp_path: Path) -> Iterator[Fleet]:
    """Worker processes with the settings of `fast`."""
    names = ("queue_url", "table", "bucket", "endpoint", "receive_wait_s", "backoff_base_s", "backoff_cap_s")
    more = ("call_base_s", "call_cap_s", "breaker_probe_s")
    variables = {f"RECEIPTS_{name.upper()}": str(fast[name]) for name in names + more}
    with Fleet({**os.environ, **variables}, tmp_path) as running:
        yield running


@CONCURRENT
async def test_a_stop_finishes_or_releases_every_message(aws: Aws, endpoint: FakeEndpoint, fleet: Fleet) -> None:
    """After SIGTERM with 32 messages in flight, each is done and deleted, or visible at once."""
    turns = count()
    endpoint.service_s = lambda: 1.0 if next(turns) % 2 else 120.0
    keys = [f"{number}.jpg" for number in range(32)]
    for number, key in enumerate(keys):
        await upload(aws, key, picture(number))
    worker = fleet.start(max_in_flight=32, invocations=32, drain_s=4)

    async def all_in_flight() -> bool:
        return endpoint.running == 32

    await until(all_in_flight, seconds=60)
    worker.signal(signal.SIGTERM)
    assert await worker.ended(within_s=30) == 0
    done = [key for key in keys if await record(aws, key)]
    assert len(done) == 16
    assert await queued(aws) == (16, 0)
    waiting: set[str] = set()
    while len(waiting) < 16:
        reply = await aws.clients.sqs.receive_message(QueueUrl=aws.resources.queue_url, MaxNumberOfMessages=10)
        waiting |= {json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"] for message in reply["Messages"]}
    assert waiting == set(keys) - set(done)


@CONCURRENT
async def test_a_second_signal_ends_the_worker_at_once(aws: Aws, endpoint: FakeEndpoint, fleet: Fleet) -> None:
    """A second SIGTERM ends a busy worker with the signal's exit code."""
    endpoint.service_s = lambda: 120.0
    await upload(aws, "slow.jpg", picture(1))
    worker = fleet.start(drain_s=20)

    async def invoked() -> bool:
        return endpoint.running == 1

    await until(invoked, seconds=60)
    worker.signal(signal.SIGTERM)

    async def stopping() -> bool:
        return (await worker.health()).get("status") == "stopping"

    await until(stopping)
    worker.signal(signal.SIGTERM)
    assert await worker.ended(within_s=10) == 128 + signal.SIGTERM


@CONCURRENT
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_waits_for_its_queue_can_be_stopped(
    aws: Aws, endpoint: FakeEndpoint, fleet: Fleet, number: signal.Signals
) -> None:
    """A worker that still waits for SQS at its start ends with 0 on a signal."""
    called = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        fleet.environment = {**fleet.environment, "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{port}"}
        worker = fleet.start()
        await asyncio.wait_for(called.wait(), 60)
        worker.signal(number)
        assert await worker.ended(within_s=10) == 0


@CONCURRENT
async def test_another_worker_processes_the_messages_of_a_killed_one(
    aws: Aws, endpoint: FakeEndpoint, fleet: Fleet
) -> None:
    """After SIGKILL during eight invocations, another worker processes all eight, with one more invocation each."""
    endpoint.service_s = lambda: 120.0
    for number in range(8):
        await upload(aws, f"{number}.jpg", picture(number))
    worker = fleet.start(visibility_s=6, heartbeat_s=2, endpoint_timeout_s=1_000)

    async def invoked() -> bool:
        return endpoint.running == 8

    await until(invoked, seconds=60)
    worker.signal(signal.SIGKILL)
    await worker.ended()
    endpoint.service_s = lambda: 0.0
    begun = endpoint.begun
    # The dead worker's claims are valid for a thousand seconds: delete them.
    for row in (await aws.clients.dynamodb.scan(TableName=aws.resources.table))["Items"]:
        await aws.clients.dynamodb.delete_item(TableName=aws.resources.table, Key={"document": row["document"]})
    fleet.start(visibility_s=6, heartbeat_s=2, endpoint_timeout_s=1)
    await until(lambda: empty(aws), seconds=60)
    for number in range(8):
        found = await record(aws, f"{number}.jpg")
        assert found is not None
        assert found.receives == 2
    assert endpoint.begun - begun == 8


@CONCURRENT
async def test_a_frozen_worker_does_not_overwrite_newer_records(aws: Aws, endpoint: FakeEndpoint, fleet: Fleet) -> None:
    """A frozen worker that continues after its leases have ended does not overwrite another worker's records."""
    endpoint.service_s = lambda: 2.0
    for number in range(4):
        await upload(aws, f"{number}.jpg", picture(number))
    frozen = fleet.start(visibility_s=5, heartbeat_s=2, endpoint_timeout_s=1_000)

    async def invoked() -> bool:
        return endpoint.running == 4

    await until(invoked, seconds=60)
    frozen.signal(signal.SIGSTOP)
    for row in (await aws.clients.dynamodb.scan(TableName=aws.resources.table))["Items"]:
        await aws.clients.dynamodb.delete_item(TableName=aws.resources.table, Key={"document": row["document"]})
    fleet.start(visibility_s=5, heartbeat_s=2)
    await until(lambda: empty(aws), seconds=60)
    before = [await record(aws, f"{number}.jpg") for number in range(4)]
    frozen.signal(signal.SIGCONT)
    await asyncio.sleep(2)
    assert [await record(aws, f"{number}.jpg") for number in range(4)] == before
    assert all(found and found.revision == 1 for found in before)
    frozen.signal(signal.SIGTERM)
    assert await frozen.ended() == 0
    assert await left(aws) == 0
