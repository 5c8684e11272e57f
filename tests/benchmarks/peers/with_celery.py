"""celery with its SQS transport. `python with_celery.py COUNT` enqueues; `celery worker` consumes, in threads."""

import os
import sys
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from celery import Celery

from tests.benchmarks.peers.receipt import work_in_thread

SLOTS = int(os.environ["SLOTS"])
HOST = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")

app = Celery("with_celery", broker=f"sqs://local:local@{HOST}//")
app.conf.update(
    task_default_queue="bench",
    task_ignore_result=True,
    # These need fanout, which SQS lacks; celery's documentation disables them.
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_transport_options={
        "region": os.environ["AWS_REGION"],
        "is_secure": False,
        "wait_time_seconds": 20,
        "predefined_queues": {
            "bench": {
                "url": os.environ["QUEUE_URL"],
                "access_key_id": "local",
                "secret_access_key": "local",
            }
        },
    },
)


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


task = app.task(name="receipt")(receipt)

if __name__ == "__main__":
    for number in range(1, int(sys.argv[1]) + 1):
        task.delay(f"r/{number}.jpg")
else:
    clients()
