"""dramatiq with dramatiq-sqs. `python with_dramatiq.py COUNT` enqueues; `dramatiq` consumes."""

import os
import sys
from functools import cache
from typing import Any

import boto3
import dramatiq
from botocore.config import Config
from dramatiq_sqs import SQSBroker

from tests.benchmarks.peers.receipt import work_in_thread

SLOTS = int(os.environ["SLOTS"])

broker = SQSBroker(endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_REGION"])
dramatiq.set_broker(broker)


@cache
def clients() -> dict[str, Any]:
    """Return the clients of the handler. boto3 clients are thread-safe."""
    config = Config(max_pool_connections=max(10, SLOTS))
    services = {"s3": "s3", "sagemaker": "sagemaker-runtime", "dynamodb": "dynamodb"}
    create: Any = boto3.client
    return {name: create(service, config=config) for name, service in services.items()}


def receipt(key: str) -> None:
    """Process one receipt."""
    work_in_thread(key, **clients())


actor = dramatiq.actor(receipt, queue_name="bench")

if __name__ == "__main__":
    for number in range(1, int(sys.argv[1]) + 1):
        actor.send(f"r/{number}.jpg")
else:
    clients()
