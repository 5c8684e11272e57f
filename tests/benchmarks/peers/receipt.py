"""The work on one receipt, shared by all contenders. It needs only the standard library."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

CALLS = json.loads((Path(__file__).parent / "calls.json").read_text())
"""The requests that the worker sends to DynamoDB for one receipt."""
INVOCATION = {"EndpointName": "bench", "ContentType": "image/jpeg", "Accept": "application/json"}

Call = Callable[..., Awaitable[Any]]
SyncCall = Callable[..., Any]


def record(key: str) -> dict[str, Any]:
    """Return the PutItem request of a receipt's record."""
    whole = CALLS["record"]
    return {**whole, "Item": {**whole["Item"], "document": {"S": f"bench/{key}"}}}


async def work(key: str, *, get: Call, invoke: Call, update: Call, query: Call, put: Call, same: bool = True) -> None:
    """Make the calls of one receipt; without `same`, only the indispensable ones.

    `get` and `invoke` return bytes. Raise ValueError if the endpoint's answer is not valid JSON.
    """
    picture = await get(Bucket="bench", Key=key)
    if same:
        await update(**CALLS["claim"])
    json.loads(await invoke(**INVOCATION, Body=picture))
    if same:
        await update(**CALLS["answer"])
        await query(**CALLS["duplicates"])
    await put(**record(key))


async def work_with(key: str, *, s3: Any, sagemaker: Any, dynamodb: Any, same: bool = True) -> None:
    """Make the calls of one receipt with aiobotocore clients."""

    async def get(**request: Any) -> bytes:
        reply = await s3.get_object(**request)
        async with reply["Body"] as stream:
            content: bytes = await stream.read()
            return content

    async def invoke(**request: Any) -> bytes:
        reply = await sagemaker.invoke_endpoint(**request)
        async with reply["Body"] as stream:
            content: bytes = await stream.read()
            return content

    await work(
        key,
        get=get,
        invoke=invoke,
        update=dynamodb.update_item,
        query=dynamodb.query,
        put=dynamodb.put_item,
        same=same,
    )


def work_in_thread(key: str, *, s3: Any, sagemaker: Any, dynamodb: Any) -> None:
    """Make the calls of one receipt with boto3 clients."""
    picture = s3.get_object(Bucket="bench", Key=key)["Body"].read()
    dynamodb.update_item(**CALLS["claim"])
    json.loads(sagemaker.invoke_endpoint(**INVOCATION, Body=picture)["Body"].read())
    dynamodb.update_item(**CALLS["answer"])
    dynamodb.query(**CALLS["duplicates"])
    dynamodb.put_item(**record(key))
