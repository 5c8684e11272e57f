"""The bare AWS calls of a receipt, as the baseline of the worker.

    python -m tests.benchmarks.bare --client aioboto3 --loop uvloop --calls four --slots 32

Each loop receives ten messages, processes them concurrently and deletes them in one call. `four` makes only the
indispensable calls: the batched receive and delete, get_object, invoke_endpoint and one put_item. `same` also makes the
worker's other calls: the claim, the stored answer and the query for duplicates. `AWS_ENDPOINT_URL` is the server.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import math
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import aioboto3
import aiohttp
import uvloop
from aiobotocore.config import AioConfig

from tests.benchmarks.peers.receipt import Call, work, work_with

QUEUE_URL = os.environ.get("QUEUE_URL", "")
BATCH = 10
EMPTY = hashlib.sha256(b"").hexdigest()


def key_of(message: dict[str, Any]) -> str:
    """Return the key that an S3 event names."""
    key: str = json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"]
    return key


async def with_aioboto3(slots: int, *, same: bool) -> None:
    """Make the calls with unmodified aioboto3."""
    session = aioboto3.Session()
    config = AioConfig(max_pool_connections=max(10, slots))
    async with AsyncExitStack() as stack:
        names = ("sqs", "s3", "sagemaker-runtime", "dynamodb")
        sqs, s3, sagemaker, dynamodb = [
            await stack.enter_async_context(session.client(name, config=config)) for name in names
        ]

        async def handle(message: dict[str, Any]) -> None:
            await work_with(key_of(message), s3=s3, sagemaker=sagemaker, dynamodb=dynamodb, same=same)

        await loops(slots, receive=sqs.receive_message, delete=sqs.delete_message_batch, handle=handle)


async def with_signed_requests(slots: int, *, same: bool) -> None:
    """Make the calls as hand-signed requests over one aiohttp session."""
    address = os.environ["AWS_ENDPOINT_URL"]
    host = address.removeprefix("http://")
    signers = {name: Signer(name, host) for name in ("sqs", "s3", "sagemaker", "dynamodb")}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:

        async def send(service: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
            signed = signers[service].headers(method, path, body, headers)
            async with session.request(method, address + path, data=body or None, headers=signed) as reply:
                content = await reply.read()
                reply.raise_for_status()
                return content

        def action(service: str, target: str, version: str) -> Call:
            async def call(**request: Any) -> Any:
                headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
                return json.loads(await send(service, "POST", "/", json.dumps(request).encode(), headers))

            return call

        async def get(*, Bucket: str, Key: str) -> bytes:  # noqa: N803 - both floors are called with the argument names of botocore
            return await send("s3", "GET", f"/{Bucket}/{Key}", b"", {})

        async def invoke(*, EndpointName: str, ContentType: str, Accept: str, Body: bytes) -> bytes:  # noqa: N803 - both floors are called with the argument names of botocore
            headers = {"content-type": ContentType, "accept": Accept}
            return await send("sagemaker", "POST", f"/endpoints/{EndpointName}/invocations", Body, headers)

        async def handle(message: dict[str, Any]) -> None:
            await work(key_of(message), same=same, get=get, invoke=invoke, update=update, query=query, put=put)

        update, query, put = (
            action("dynamodb", f"DynamoDB_20120810.{name}", "1.0") for name in ("UpdateItem", "Query", "PutItem")
        )
        receive, delete = (
            action("sqs", f"AmazonSQS.{name}", "1.0") for name in ("ReceiveMessage", "DeleteMessageBatch")
        )
        await loops(slots, receive=receive, delete=delete, handle=handle)


async def loops(
    slots: int, *, receive: Call, delete: Call, handle: Callable[[dict[str, Any]], Coroutine[Any, Any, None]]
) -> None:
    """Receive, process and delete until cancelled, with at most `slots` messages in flight."""
    count = math.ceil(slots / BATCH)

    async def loop(most: int) -> None:
        while True:
            reply = await receive(QueueUrl=QUEUE_URL, MaxNumberOfMessages=most, WaitTimeSeconds=20)
            messages = reply.get("Messages", [])
            ends = await asyncio.gather(*map(handle, messages), return_exceptions=True)
            done = [message for message, end in zip(messages, ends, strict=True) if end is None]
            entries = [{"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(done)]
            if entries:
                await delete(QueueUrl=QUEUE_URL, Entries=entries)

    await asyncio.gather(*(loop(slots // count + (at < slots % count)) for at in range(count)))


class Signer:
    """A signer for one service, Signature Version 4, that caches the signing key of the day
    (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html)."""

    def __init__(self, service: str, host: str) -> None:
        self._service = service
        self._host = host
        self._region = os.environ["AWS_REGION"]
        self._secret = os.environ["AWS_SECRET_ACCESS_KEY"]
        self._day = ""
        self._key = b""

    def headers(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        """Return `headers` plus those that sign the request."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(body).hexdigest() if body else EMPTY
        signed = {**headers, "host": self._host, "x-amz-date": now}
        if self._service == "s3":
            signed["x-amz-content-sha256"] = digest
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        scope = f"{now[:8]}/{self._region}/{self._service}/aws4_request"
        request = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\n{digest}".encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{request}"
        signature = hmac.digest(self._key_of(now[:8]), text.encode(), "sha256").hex()
        credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return self._key


def main() -> None:
    """Process messages until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=("aioboto3", "signed"), required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    parser.add_argument("--calls", choices=("four", "same"), default="four")
    parser.add_argument("--slots", type=int, default=32)
    options = parser.parse_args()
    client = with_aioboto3 if options.client == "aioboto3" else with_signed_requests
    factory = uvloop.new_event_loop if options.loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(client(options.slots, same=options.calls == "same"))


if __name__ == "__main__":
    main()
