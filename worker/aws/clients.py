"""The AWS clients and their configuration.

In the worker botocore's retries are off: the worker's own retries can tell a bad receipt from an outage. Commands that
a person waits for have them on. botocore's parameter validation is off: our calls are tested, and validation costs a
tenth of a call's CPU. Checksums are sent only where S3 requires them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

import aioboto3
import botocore
from aiobotocore.config import AioConfig

from worker.aws.direct import DirectJson, DirectS3, DirectSageMaker
from worker.aws.pool import Pool
from worker.settings import Settings

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_sagemaker_runtime import SageMakerRuntimeClient
    from types_aiobotocore_sqs import SQSClient

SIGNED: dict[str, Any] = {"signature_version": "s3v4"}
"""Sign links with version 4 everywhere. In us-east-1 botocore's default is version 2."""

SQS_CALLS = ("receive_message", "delete_message_batch", "change_message_visibility_batch")
DYNAMODB_CALLS = ("get_item", "put_item", "update_item", "query")


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The clients of the four services that a worker uses."""

    sqs: "SQSClient"
    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    sagemaker: "SageMakerRuntimeClient"


def config(
    *, timeout_s: float, connections: int, attempts: int = 1, whole_s: float | None = None, **more: Any
) -> AioConfig:
    """Return a client configuration with at most `connections` open connections and `attempts` of each call.

    `timeout_s` limits each part of an answer, `whole_s` the whole call. `more` goes to botocore's Config unchanged.
    """
    return AioConfig(
        connect_timeout=min(timeout_s, 10),
        read_timeout=timeout_s,
        max_pool_connections=connections,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        parameter_validation=False,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Emulators need the bucket's name in the path, AWS prefers it in the host name: let botocore choose.
        s3={"addressing_style": "auto"},
        # Fixed, because botocore otherwise rebuilds the user agent for each call, at a tenth of the call's CPU.
        user_agent=f"receipts-worker/{metadata.version('receipts-worker')} botocore/{botocore.__version__}",
        http_session_cls=partial(Pool, whole_s=whole_s),  # type: ignore[arg-type]  # botocore only calls it
        **more,
    )


def session() -> Any:
    """Return a session in the region named by AWS_REGION, or else by AWS_DEFAULT_REGION.

    Other SDKs read AWS_REGION; botocore itself reads only AWS_DEFAULT_REGION
    (docs.aws.amazon.com/sdkref/latest/guide/feature-region.html, table of support by SDK).
    """
    return aioboto3.Session(region_name=os.environ.get("AWS_REGION") or None)


@asynccontextmanager
async def clients(settings: Settings, *, attempts: int = 1) -> AsyncIterator[Clients]:
    """Open the clients, and close them on exit. botocore makes up to `attempts` attempts of each call."""
    opened = session()
    connections = settings.max_in_flight + 8
    call_s, invoke_s = settings.call_timeout_s, settings.endpoint_timeout_s
    poll_s = call_s + settings.receive_wait_s
    ordinary: dict[str, Any] = {"timeout_s": call_s, "connections": connections, "attempts": attempts}
    polling = ordinary | {"timeout_s": poll_s, "whole_s": poll_s}
    invoking: dict[str, Any] = {"timeout_s": invoke_s, "whole_s": invoke_s, "connections": connections}
    rows = config(**ordinary, whole_s=call_s)
    async with AsyncExitStack() as stack:
        made = Clients(
            sqs=await stack.enter_async_context(opened.client("sqs", config=config(**polling))),
            s3=await stack.enter_async_context(opened.client("s3", config=config(**ordinary, **SIGNED))),
            dynamodb=await stack.enter_async_context(opened.client("dynamodb", config=rows)),
            sagemaker=await stack.enter_async_context(opened.client("sagemaker-runtime", config=config(**invoking))),
        )
        credentials = await opened.get_credentials()
        direct = attempts == 1 and settings.direct_calls and credentials is not None
        yield _direct(made, credentials) if direct else made


def _direct(made: Clients, credentials: Any) -> Clients:
    """Return `made` with direct calls for what every receipt needs. Direct calls make a single attempt."""
    return Clients(
        sqs=cast("SQSClient", DirectJson(made.sqs, credentials, calls=SQS_CALLS, kind="QueueUrl")),
        s3=cast("S3Client", DirectS3(made.s3, credentials)),
        dynamodb=cast("DynamoDBClient", DirectJson(made.dynamodb, credentials, calls=DYNAMODB_CALLS, kind="TableName")),
        sagemaker=cast("SageMakerRuntimeClient", DirectSageMaker(made.sagemaker, credentials)),
    )
