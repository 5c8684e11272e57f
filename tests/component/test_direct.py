"""Direct calls behave like botocore's, for callers and for AWS."""

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from aiohttp import web
from botocore import UNSIGNED
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tests.component.emulators import Aws
from tests.support.endpoint import FakeEndpoint
from tests.support.signed import SignedAws
from worker.aws.clients import Clients, clients, config, session
from worker.aws.direct import DirectJson, DirectSageMaker
from worker.errors import DependencyFault, Throttled
from worker.resilience.faults import classify
from worker.runtime.worker import QUEUE_MISSING
from worker.settings import Settings

KEYS = ("plain.jpg", "a b/ü+~%2F.jpg", "/a//b/../c.jpg", "?x=1&y#z", "日本/🧾.png", "tab\tand'quotes\".jpg")
USUAL = {"RequestId", "HTTPHeaders", "RetryAttempts", "MaxAttemptsReached", "HostId"}


@pytest.fixture
async def plain(aws: Aws) -> AsyncIterator[Clients]:
    """The same AWS as `aws`, with every call through botocore."""
    async with clients(aws.settings.model_copy(update={"direct_calls": False})) as opened:
        yield opened


ONE = ReadOnlyCredentials("one", "secret one", None, None)


def _said(reply: Any) -> Any:
    """Return `reply` without the fields that differ from call to call."""
    about = {name: value for name, value in reply.pop("ResponseMetadata").items() if name not in USUAL}
    return reply | {"ResponseMetadata": about}


async def _outcome(call: Awaitable[Any]) -> Any:
    """Return the reply to `call`, or the type and contents of its error."""
    try:
        return _said(dict(await call))
    except ClientError as error:
        return type(error).__name__, str(error).replace(" (reached max retries: 0)", ""), _said(dict(error.response))


async def test_rows_are_written_and_read_as_by_botocore(aws: Aws, plain: Clients) -> None:
    """Replies and errors are equal, including the row that a failed condition returns."""
    table = aws.resources.table
    key: dict[str, Any] = {"document": {"S": "a/ü 🧾"}}
    row: dict[str, Any] = key | {"n": {"N": "1.20"}, "l": {"L": [{"NULL": True}, {"BOOL": False}]}}
    once: dict[str, Any] = {
        "ConditionExpression": "attribute_not_exists(document)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    query: dict[str, Any] = {
        "KeyConditionExpression": "document = :d",
        "ExpressionAttributeValues": {":d": key["document"]},
    }
    update: dict[str, Any] = {
        "Key": key,
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "7"}},
        "ReturnValues": "ALL_NEW",
    }
    calls: list[Callable[[Any], Awaitable[Any]]] = [
        lambda dynamodb: dynamodb.put_item(TableName=table, Item=row),
        lambda dynamodb: dynamodb.put_item(TableName=table, Item=row, **once),
        lambda dynamodb: dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True),
        lambda dynamodb: dynamodb.get_item(TableName=table, Key={"document": {"S": "none"}}),
        lambda dynamodb: dynamodb.query(TableName=table, **query),
        lambda dynamodb: dynamodb.update_item(TableName=table, **update),
        lambda dynamodb: dynamodb.update_item(TableName=table, Key={"wrong": {"S": "x"}}),
        lambda dynamodb: dynamodb.put_item(TableName="no-such-table", Item=row),
    ]
    for call in calls:
        assert await _outcome(call(aws.clients.dynamodb)) == await _outcome(call(plain.dynamodb))
    with pytest.raises(aws.clients.dynamodb.exceptions.ConditionalCheckFailedException) as refused:
        await aws.clients.dynamodb.put_item(TableName=table, Item=row, **once)
    assert dict(refused.value.response)["Item"] == row | {"n": {"N": "7"}}


@pytest.mark.parametrize("key", KEYS)
async def test_objects_are_fetched_as_by_botocore(aws: Aws, plain: Clients, key: str) -> None:
    """Objects with any key, with and without a version, and missing objects give equal results."""
    bucket = aws.resources.bucket
    put = await plain.s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 100_000, Metadata={"a": "b"})
    variants: list[Any] = [{}, {"VersionId": put["VersionId"]}, {"Range": "bytes=0-9"}]
    for more in variants:
        replies = []
        for s3 in (aws.clients.s3, plain.s3):
            reply: Any = await s3.get_object(Bucket=bucket, Key=key, **more)
            async with reply.pop("Body") as stream:
                replies.append((_said(reply), await stream.read()))
        assert replies[0] == replies[1]
    wrongs: list[dict[str, Any]] = [{"Bucket": bucket, "Key": key + "x"}, {"Bucket": "no-such-bucket", "Key": key}]
    for wrong in wrongs:
        assert await _outcome(aws.clients.s3.get_object(**wrong)) == await _outcome(plain.s3.get_object(**wrong))


async def test_messages_come_and_go_as_by_botocore(aws: Aws, plain: Clients) -> None:
    """Batch receives, deletes and extensions, failed entries and a missing queue give equal results."""
    url = aws.resources.queue_url
    missing = url + "x"
    while (await aws.clients.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)).get("Messages"):
        pass
    for sqs in (aws.clients.sqs, plain.sqs):
        await sqs.send_message(QueueUrl=url, MessageBody='{"a": "ü"}')
        reply = await sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=5, MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"]
        )
        (message,) = reply["Messages"]
        assert message["Body"] == '{"a": "ü"}'
        assert message["Attributes"]["ApproximateReceiveCount"] == "1"
        handle = message["ReceiptHandle"]
        changed = await sqs.change_message_visibility_batch(
            QueueUrl=url, Entries=[{"Id": "0", "ReceiptHandle": handle, "VisibilityTimeout": 30}]
        )
        assert changed["Successful"] == [{"Id": "0"}]
        gone = await sqs.delete_message_batch(
            QueueUrl=url, Entries=[{"Id": "0", "ReceiptHandle": handle}, {"Id": "1", "ReceiptHandle": "nonsense"}]
        )
        assert {"Id": "0"} in gone["Successful"]
        assert [entry["Id"] for entry in gone.get("Failed", [])] == ["1"]
    ours = await _outcome(aws.clients.sqs.receive_message(QueueUrl=missing))
    assert ours[-1]["Error"]["Code"] in QUEUE_MISSING
    assert ours == await _outcome(plain.sqs.receive_message(QueueUrl=missing))


@pytest.mark.parametrize("fault", [None, "throttle", "ModelError", "ServiceUnavailable"])
async def test_endpoints_are_invoked_as_by_botocore(aws: Aws, endpoint: FakeEndpoint, fault: str | None) -> None:
    """Answers and errors are equal, including the container's status and bodies that are streams."""
    endpoint.fault = lambda: fault
    for body in (b"x" * 1000, io.BytesIO(b"x" * 1000)):
        seen = []
        for direct in (True, False):
            async with clients(aws.settings.model_copy(update={"direct_calls": direct})) as opened:
                call = opened.sagemaker.invoke_endpoint(EndpointName="e", ContentType="image/jpeg", Body=body)
                outcome = await _outcome(call)
                if isinstance(outcome, dict):
                    async with outcome["Body"] as stream:
                        outcome["Body"] = await stream.read()
                seen.append(outcome)
            if isinstance(body, io.BytesIO):
                body.seek(0)
        assert seen[0] == seen[1]


async def test_a_large_body_is_sent_directly_too(signed_environment: Callable[..., None]) -> None:
    """A large body is complete, signed and has a Content-Length, and later small bodies are sent directly too."""
    bodies: list[bytes] = []

    async def answer(_: web.Request, body: bytes) -> web.StreamResponse:
        bodies.append(body)
        return web.json_response({})

    sent = [os.urandom(5_000_000), b"small", os.urandom(1_048_577)]
    async with SignedAws({"one": ONE}, answer).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            for body in sent:
                given = io.BytesIO(body) if len(body) > 1_000 else body
                await opened.sagemaker.invoke_endpoint(EndpointName="e", ContentType="image/jpeg", Body=given)
        assert server.refused == 0
        assert bodies == sent
        for request, body in zip(server.requests, sent, strict=True):
            assert request.headers["Content-Length"] == str(len(body))
            assert "amz-sdk-request" not in request.headers  # only botocore sends it


async def test_signatures_are_right(signed_environment: Callable[..., None]) -> None:
    """A server that verifies signatures accepts every direct call, without any call by botocore."""
    async with SignedAws({"one": ONE}).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            for _ in range(2):
                await opened.sqs.receive_message(QueueUrl=server.url + "/1/q")
                await opened.dynamodb.get_item(TableName="t", Key={"document": {"S": "ü"}})
                await opened.sagemaker.invoke_endpoint(EndpointName="e", Body=b"x", TargetVariant="v w")
                for key in KEYS:
                    await opened.s3.get_object(Bucket="b.c", Key=key)
                    await opened.s3.get_object(Bucket="b.c", Key=key, VersionId="v/1 =")
        assert server.refused == 0
        assert len(server.requests) == 2 * (3 + 2 * len(KEYS))
        assert not any("amz-sdk-invocation-id" in request.headers for request in server.requests)


@asynccontextmanager
async def _dynamodb(refreshed: Callable[[], Awaitable[dict[str, str]]]) -> AsyncIterator[DirectJson]:
    """Yield a direct client with credentials like those of a task role, which expire and are refreshed."""
    first = await refreshed()
    credentials = AioRefreshableCredentials(
        first["access_key"],
        first["secret_key"],
        first["token"],
        dt.datetime.fromisoformat(first["expiry_time"]),
        refreshed,
        "container-role",
    )
    opened = session()
    opened._session._credentials = credentials
    async with opened.client("dynamodb", config=config(timeout_s=5, connections=4)) as client:
        yield DirectJson(client, credentials, calls=["get_item"], kind="TableName")


async def test_credentials_that_end_are_replaced(signed_environment: Callable[..., None]) -> None:
    """After a refresh, calls from the same template are signed with the new key and token."""
    asked = 0

    async def refreshed() -> dict[str, str]:
        nonlocal asked
        asked += 1
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1 if asked < 3 else 7200)
        key = {"access_key": f"key{asked}", "secret_key": f"s{asked}", "token": f"t{asked}"}
        return {**key, "expiry_time": ends.isoformat()}

    keys = {f"key{at}": ReadOnlyCredentials(f"key{at}", f"s{at}", f"t{at}", None) for at in (1, 2, 3)}
    async with SignedAws(keys).serve() as server:
        signed_environment(server.url)
        async with _dynamodb(refreshed) as dynamodb:
            for _ in range(4):
                await dynamodb.get_item(TableName="t", Key={"document": {"S": "x"}})
        assert server.refused == 0
        used = [request.headers["X-Amz-Security-Token"] for request in server.requests]
        assert used[-1] == "t3"
        assert len(used) == 4


async def test_calls_with_other_signatures_are_left_to_botocore(aws: Aws, endpoint: FakeEndpoint) -> None:
    """If our signature differs from botocore's (here it sends none), the calls go through botocore."""
    opened = session()
    unsigned = config(timeout_s=5, connections=4, signature_version=UNSIGNED)
    async with opened.client("sagemaker-runtime", config=unsigned) as client:
        direct = DirectSageMaker(client, await opened.get_credentials())
        for _ in range(2):
            reply = await direct.invoke_endpoint(EndpointName="e", Body=b"x")
            assert reply["InvokedProductionVariant"] == "AllTraffic"
        assert not any(direct._templates.values())
    assert endpoint.begun == 2


async def test_a_header_that_a_hook_computes_is_left_to_botocore(aws: Aws) -> None:
    """A Content-MD5 that an event hook adds is right on every request, because botocore makes those calls."""
    opened, sent = session(), []

    def add_digest(request: Any, **_: Any) -> None:
        request.headers["Content-MD5"] = base64.b64encode(hashlib.md5(request.body).digest()).decode()

    def record(request: Any, **_: Any) -> None:
        sent.append((request.headers["Content-MD5"].decode(), request.body))

    async with opened.client("dynamodb", config=config(timeout_s=5, connections=4)) as client:
        client.meta.events.register("before-sign.dynamodb.PutItem", add_digest)
        client.meta.events.register("before-send.dynamodb.PutItem", record)
        direct = DirectJson(client, await opened.get_credentials(), calls=("put_item",), kind="TableName")
        for number in range(3):
            await direct.put_item(TableName=aws.resources.table, Item={"document": {"S": f"b/{number}"}})
    assert [digest for digest, _ in sent] == [base64.b64encode(hashlib.md5(body).digest()).decode() for _, body in sent]
    assert len({body for _, body in sent}) == 3


async def test_a_bucket_in_another_region_is_found(signed_environment: Callable[..., None]) -> None:
    """botocore follows S3's redirect, and later calls go directly to the region that it found."""
    regions: list[str] = []

    async def answer(request: web.Request, _: bytes) -> web.StreamResponse:
        region = request.headers["Authorization"].split("/")[2]
        regions.append(region)
        if region != "eu-west-1":
            return web.Response(
                status=301,
                headers={"x-amz-bucket-region": "eu-west-1"},
                text="<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>",
            )
        return web.Response(body=b"picture")

    async with SignedAws({"one": ONE}, answer).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            for _ in range(3):
                async with (await opened.s3.get_object(Bucket="b", Key="k"))["Body"] as stream:
                    assert await stream.read() == b"picture"
    assert regions[-2:] == ["eu-west-1", "eu-west-1"]
    assert regions.count("us-east-1") == 2


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (400, '{"__type": "com.amazonaws#ThrottlingException"}', Throttled, "throttled"),
        (503, "<html>busy</html>", DependencyFault, "server_error"),
        (500, '{"__type": "InternalServerError"}', DependencyFault, "server_error"),
        (400, '{"__type": "ResourceNotFoundException"}', DependencyFault, "misconfigured"),
    ],
)
async def test_faults_are_classified_as_botocores(
    signed_environment: Callable[..., None], status: int, body: str, kind: type[Exception], reason: str
) -> None:
    """Faults of direct calls are classified like those of botocore."""

    async def answer(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(status=status, text=body)

    async with SignedAws({"one": ONE}, answer).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            with pytest.raises(ClientError) as caught:
                await opened.dynamodb.get_item(TableName="t", Key={})
    known = classify("dynamodb", caught.value)
    assert isinstance(known, kind)
    assert getattr(known, "reason", "") == reason


@pytest.mark.parametrize(("status", "body"), [(200, ""), (200, "[]"), (202, "{}"), (204, "")])
async def test_an_odd_success_stores_nothing(signed_environment: Callable[..., None], status: int, body: str) -> None:
    """Only a valid answer of DynamoDB confirms a write; anything else is a fault."""

    async def answer(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(status=status, text=body)

    async with SignedAws({"one": ONE}, answer).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            with pytest.raises(ResponseParserError) as caught:
                await opened.dynamodb.put_item(TableName="t", Item={})
    known = classify("dynamodb", caught.value)
    assert isinstance(known, DependencyFault)
    assert known.reason == "connection"


async def test_an_object_without_sense_in_its_headers_is_fetched(signed_environment: Callable[..., None]) -> None:
    """An invalid date is left out, and cookies are not sent back."""

    async def answer(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(body=b"picture", headers={"Last-Modified": "yesterday", "Set-Cookie": "a=b"})

    async with SignedAws({"one": ONE}, answer).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            for _ in range(2):
                reply: Any = await opened.s3.get_object(Bucket="b", Key="k")
                assert "LastModified" not in reply
                async with reply["Body"] as stream:
                    assert await stream.read() == b"picture"
        assert not any("Cookie" in request.headers for request in server.requests)


async def test_an_answer_that_does_not_come_is_a_time_out(signed_environment: Callable[..., None]) -> None:
    """The client's time-outs apply and count as time-outs; a cut or refused connection counts as a connection fault."""

    async def silent(_: web.Request, __: bytes) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async def cut(request: web.Request, _: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    reasons = []
    async with SignedAws({"one": ONE}, silent).serve() as server:
        signed_environment(server.url)
        async with clients(Settings(call_timeout_s=0.2)) as opened:
            for answer in (silent, cut):
                server.answer = answer
                with pytest.raises((BotoCoreError, ClientError, aiohttp.ClientError)) as caught:
                    await opened.dynamodb.get_item(TableName="t", Key={})
                reasons.append(getattr(classify("dynamodb", caught.value), "reason", None))
    async with clients(Settings(call_timeout_s=0.2)) as opened:
        with pytest.raises((BotoCoreError, ClientError, aiohttp.ClientError)) as caught:
            await opened.dynamodb.get_item(TableName="t", Key={})
        reasons.append(getattr(classify("dynamodb", caught.value), "reason", None))
    assert reasons == ["timeout", "connection", "connection"]


@pytest.mark.parametrize("direct", [True, False])
async def test_an_answer_that_never_ends_is_a_time_out(
    signed_environment: Callable[..., None], *, direct: bool
) -> None:
    """A slow trickle of bytes does not extend a call: the whole answer must arrive within the time-out."""

    async def trickle(request: web.Request, _: bytes) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Length": "1000"})
        await reply.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await reply.write(b" ")
                await asyncio.sleep(0.05)
        return reply

    reasons = []
    settings = Settings(call_timeout_s=0.5, endpoint_timeout_s=0.5, receive_wait_s=1, direct_calls=direct)
    async with SignedAws({"one": ONE}, trickle).serve() as server:
        signed_environment(server.url)
        async with clients(settings) as opened, asyncio.timeout(20):

            async def invoke() -> None:
                reply = await opened.sagemaker.invoke_endpoint(EndpointName="e", Body=b"x")
                async with reply["Body"] as stream:
                    await stream.read()

            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                "sagemaker": invoke,
                "dynamodb": lambda: opened.dynamodb.get_item(TableName="t", Key={}),
                "sqs": lambda: opened.sqs.receive_message(QueueUrl=f"{server.url}/1/q"),
            }
            for name, call in calls.items():
                with pytest.raises((BotoCoreError, TimeoutError)) as caught:
                    await call()
                reasons.append(getattr(classify(name, caught.value), "reason", None))
    assert reasons == ["timeout"] * 3


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b'"down"', b"<html>", b"\xff\xfe", b"[" * 100_000], ids=repr)
async def test_an_answer_that_is_not_from_aws_is_an_outage(
    signed_environment: Callable[..., None], body: bytes
) -> None:
    """Any answer of a proxy in place of AWS counts as an outage, not as a fault of the receipt."""

    async def answer(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    kinds = []
    async with SignedAws({"one": ONE}, answer).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                "sagemaker": lambda: opened.sagemaker.invoke_endpoint(EndpointName="e", Body=b"x"),
                "dynamodb": lambda: opened.dynamodb.get_item(TableName="t", Key={}),
                "sqs": lambda: opened.sqs.receive_message(QueueUrl=f"{server.url}/1/q"),
                "s3": lambda: opened.s3.get_object(Bucket="b", Key="k"),
            }
            for status in (200, 502, 503):
                for name, call in calls.items():
                    if status == 200 and (name in {"s3", "sagemaker"} or not body):
                        continue  # for these, any bytes are a valid answer
                    with pytest.raises(Exception) as caught:  # noqa: PT011 - clients raise errors of several libraries; what `classify` makes of it is asserted below
                        await call()
                    kinds.append(type(classify(name, caught.value)))
    assert set(kinds) == {DependencyFault}


async def test_a_truncated_body_is_a_fault(signed_environment: Callable[..., None]) -> None:
    """Fewer bytes than announced are a connection fault, never a shorter picture."""

    async def short(request: web.Request, _: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nx-amz-request-id: T\r\nContent-Length: 1000\r\n\r\nhalf")
        request.transport.close()
        await asyncio.sleep(0)
        return web.Response()

    async with SignedAws({"one": ONE}, short).serve() as server:
        signed_environment(server.url)
        async with clients(Settings()) as opened:
            reply = await opened.s3.get_object(Bucket="b", Key="k")
            async with reply["Body"] as stream:
                with pytest.raises((BotoCoreError, ClientError, aiohttp.ClientError)) as caught:
                    await stream.read()
    assert getattr(classify("s3", caught.value), "reason", None) == "connection"
