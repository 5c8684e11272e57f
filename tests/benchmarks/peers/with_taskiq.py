"""taskiq with taskiq-aio-sqs. `python with_taskiq.py COUNT` enqueues; `taskiq worker` consumes."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from taskiq import TaskiqEvents
from taskiq_aio_sqs import SQSBroker

from tests.benchmarks.peers.receipt import work_with

SLOTS = int(os.environ["SLOTS"])

broker = SQSBroker(
    "bench",
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    region_name=os.environ["AWS_REGION"],
    wait_time_seconds=20,
    max_number_of_messages=10,
)
stack = AsyncExitStack()
clients: dict[str, Any] = {}


async def open_clients(_: Any) -> None:
    """Open the clients of the handler."""
    config = AioConfig(max_pool_connections=max(10, SLOTS))
    create: Any = get_session().create_client
    for name, service in (("s3", "s3"), ("sagemaker", "sagemaker-runtime"), ("dynamodb", "dynamodb")):
        clients[name] = await stack.enter_async_context(create(service, config=config))


async def close_clients(_: Any) -> None:
    """Close the clients of the handler."""
    await stack.aclose()


async def receipt(key: str) -> None:
    """Process one receipt."""
    await work_with(key, **clients)


broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, open_clients)
broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, close_clients)
task = broker.register_task(receipt, task_name="receipt")


async def enqueue(count: int) -> None:
    """Put `count` tasks on the queue."""
    await broker.startup()
    for number in range(1, count + 1):
        await task.kiq(f"r/{number}.jpg")
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(enqueue(int(sys.argv[1])))
