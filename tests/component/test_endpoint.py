"""The local SageMaker front: a standard sagemaker-runtime client sees SageMaker's answers and errors."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aioboto3
import pytest
from aiohttp import web
from botocore.exceptions import ClientError

from tests.component.container import READING, Container, endpoint
from worker.aws.clients import config
from worker.workbench.local import environment
from worker.workbench.local.endpoint import BODY_LIMIT, Front

if TYPE_CHECKING:
    from types_aiobotocore_sagemaker_runtime import SageMakerRuntimeClient

ACCOUNT = "000000000000"


@pytest.fixture
def container() -> Container:
    return Container()


@pytest.fixture
async def front(container: Container) -> AsyncIterator[Front]:
    async with endpoint(container, timeout_s=0.5) as served:
        yield served


@pytest.fixture
async def client(front: Front, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator["SageMakerRuntimeClient"]:
    for name, value in environment.aws(emulator_url=front.url, runtime_url=front.url).items():
        monkeypatch.setenv(name, value)
    session: Any = aioboto3.Session()
    async with session.client("sagemaker-runtime", config=config(timeout_s=70, connections=20)) as opened:
        yield opened


async def _fails(client: "SageMakerRuntimeClient", *, name: str = "receipts", body: bytes = b"x", **more: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        await client.invoke_endpoint(EndpointName=name, Body=io.BytesIO(body), ContentType="image/jpeg", **more)
    return caught.value.response


async def test_an_answer_arrives_complete(client: "SageMakerRuntimeClient", container: Container) -> None:
    """Body, content type and variant arrive, and the container gets the picture's bytes and the call's headers."""
    answer = await client.invoke_endpoint(
        EndpointName="receipts", Body=b"\xff\xd8", ContentType="image/jpeg", CustomAttributes="trace=1"
    )
    assert json.loads(await answer["Body"].read()) == READING
    assert answer["ContentType"].startswith("application/json")
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    headers, body = container.seen[0]
    assert body == b"\xff\xd8"
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    assert "Authorization" not in headers


async def test_an_unknown_endpoint_is_a_validation_error(client: "SageMakerRuntimeClient") -> None:
    """The answer is 400 and names endpoint and account."""
    response = await _fails(client, name="unknown")
    assert response["Error"]["Code"] == "ValidationError"
    assert response["Error"]["Message"] == f"Endpoint unknown of account {ACCOUNT} not found."
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


async def test_an_unknown_variant_is_a_validation_error(client: "SageMakerRuntimeClient") -> None:
    """A target variant that the endpoint does not have is refused."""
    response = await _fails(client, TargetVariant="Green")
    assert response["Error"]["Code"] == "ValidationError"


async def test_a_body_above_the_limit_is_refused(client: "SageMakerRuntimeClient", container: Container) -> None:
    """A body of exactly the limit passes; one more byte gives HTTP 413, and the container does not get it."""
    await client.invoke_endpoint(EndpointName="receipts", Body=io.BytesIO(bytes(BODY_LIMIT)))
    response = await _fails(client, body=bytes(BODY_LIMIT + 1))
    assert response["Error"]["Code"] == "413"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert len(container.seen) == 1


async def test_a_container_that_takes_too_long_is_a_model_error_of_status_0(
    client: "SageMakerRuntimeClient", container: Container
) -> None:
    """After the limit (60 s, here half a second) the answer is ModelError with OriginalStatusCode 0."""
    forever = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await forever.wait()
        raise AssertionError

    container.handler = hang
    response = await _fails(client)
    forever.set()
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 0
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_an_error_of_the_container_is_a_model_error(
    client: "SageMakerRuntimeClient", container: Container, status: int
) -> None:
    """An error of the container becomes ModelError 424 with its status and text."""

    async def fail(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="no")

    container.handler = fail
    response = await _fails(client)
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "no"
    assert f"({status})" in response["Error"]["Message"]


async def test_calls_above_the_capacity_are_throttled(
    client: "SageMakerRuntimeClient", container: Container, front: Front
) -> None:
    """With a capacity of 2, the third call gets ThrottlingException with HTTP 400, and passes once another is done."""
    inside, leave = asyncio.Semaphore(0), asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        inside.release()
        await leave.wait()
        return web.json_response(READING)

    container.handler = wait
    front.capacity = 2
    calls = [
        asyncio.create_task(client.invoke_endpoint(EndpointName="receipts", Body=b"x"), name=f"call {number}")
        for number in range(2)
    ]
    await inside.acquire()
    await inside.acquire()
    response = await _fails(client)
    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    leave.set()
    await asyncio.gather(*calls)
    await client.invoke_endpoint(EndpointName="receipts", Body=b"x")
    assert front.calls == 3


async def test_a_container_that_is_gone_makes_the_service_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no container listens behind the front, the client gets 503 ServiceUnavailable."""
    async with Front(
        endpoint="receipts", container_url="http://127.0.0.1:9", account=ACCOUNT, region=environment.REGION
    ) as front:
        for name, value in environment.aws(emulator_url=front.url, runtime_url=front.url).items():
            monkeypatch.setenv(name, value)
        session: Any = aioboto3.Session()
        async with session.client("sagemaker-runtime", config=config(timeout_s=70, connections=2)) as opened:
            response = await _fails(opened)
    assert response["Error"]["Code"] == "ServiceUnavailable"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
