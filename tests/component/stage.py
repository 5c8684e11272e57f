"""Helpers for tests of the worker: run it, upload, and read the table and the queues."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.component.emulators import Aws
from worker.receipts.record import Record
from worker.results.attributes import from_attributes
from worker.results.rows import from_item
from worker.runtime.worker import Worker
from worker.settings import Settings

CONCURRENT = pytest.mark.not_on("moto", "concurrency")
"""A mark for tests that need an emulator with correct concurrent calls."""


@asynccontextmanager
async def working(settings: dict[str, Any], **changes: Any) -> AsyncIterator[Worker]:
    """Run a worker until the block ends. It must end cleanly."""
    async with Worker(Settings(**(settings | changes))) as worker:
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await running


async def upload(aws: Aws, key: str, body: bytes) -> None:
    await aws.clients.s3.put_object(Bucket=aws.resources.bucket, Key=key, Body=body)


async def record(aws: Aws, key: str) -> Record | None:
    document = f"{aws.resources.bucket}/{key}"
    reply = await aws.clients.dynamodb.get_item(
        TableName=aws.resources.table, Key={"document": {"S": document}}, ConsistentRead=True
    )
    return from_item(from_attributes(reply["Item"])) if "Item" in reply else None


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = 20) -> Any:
    """Return the first truthy result of `condition`. Raise TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not (result := await condition()):
            await asyncio.sleep(0.05)
        return result


async def left(aws: Aws, url: str | None = None) -> int:
    """Return the number of messages on the queue, visible or not."""
    return sum(await queued(aws, url))


async def empty(aws: Aws) -> bool:
    return await left(aws) == 0


async def queued(aws: Aws, url: str | None = None) -> tuple[int, int]:
    """Return the numbers of visible and of invisible messages on the queue."""
    reply = await aws.clients.sqs.get_queue_attributes(
        QueueUrl=url or aws.resources.queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    found = reply["Attributes"]
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


def event(aws: Aws, *keys: str, **more: Any) -> str:
    """Return the body of an S3 event about uploads to `keys`. The keys are not encoded."""
    records = [
        {
            "eventVersion": "2.3",
            "eventSource": "aws:s3",
            "eventTime": "2026-03-04T05:06:07.000Z",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": aws.resources.bucket}, "object": {"key": key, "sequencer": f"{at:016x}"} | more},
        }
        for at, key in enumerate(keys)
    ]
    return json.dumps({"Records": records})


async def send(aws: Aws, body: str) -> None:
    await aws.clients.sqs.send_message(QueueUrl=aws.resources.queue_url, MessageBody=body)
