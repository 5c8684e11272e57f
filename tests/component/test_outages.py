"""Outages, late answers and lost replies of the dependencies: messages wait and nothing is lost."""

import asyncio
import os
from decimal import Decimal
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.stage import CONCURRENT, empty, left, queued, record, until, upload, working
from tests.support.endpoint import FakeEndpoint, total_of
from tests.support.pictures import picture
from tests.support.proxy import Fault, FaultyProxy


@CONCURRENT
@pytest.mark.parametrize("service", ["S3", "DYNAMODB", "SAGEMAKER_RUNTIME"])
async def test_an_outage_uses_up_no_receives(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """Messages wait while S3, DynamoDB or the endpoint is unreachable, and are then done on their first receive."""
    variable = f"AWS_ENDPOINT_URL_{service}"
    async with FaultyProxy(os.environ[variable]).serve() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        proxy.down = True
        async with working(fast, max_in_flight=4) as worker:
            for number in range(12):
                await upload(aws, f"{number}.jpg", picture(number))

            async def open_breaker() -> bool:
                return any(breaker.open for breaker in worker.parts.dependencies.breakers)

            await until(open_breaker)
            await asyncio.sleep(8)  # longer than the visibility timeout without extension
            assert worker.parts.consumer.in_flight <= 4
            proxy.down = False
            await until(lambda: empty(aws))
        for number in range(12):
            found = await record(aws, f"{number}.jpg")
            assert found is not None
            assert (found.receives, found.receipt and found.receipt.total) == (1, Decimal(total_of(picture(number))))
    assert await left(aws, aws.resources.dead_letter_url) == 0


@CONCURRENT
async def test_a_fetch_that_is_too_slow_is_tried_again(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch from a very slow S3 is abandoned after the timeout and tried again."""
    async with FaultyProxy(aws.url, bytes_per_s=100).serve() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        async with working(fast, call_timeout_s=0.5, upload_limit_mib=0.1):
            await upload(aws, "a.jpg", picture(1))

            async def tried_again() -> bool:
                return proxy.requests > 2

            await until(tried_again)
            proxy.bytes_per_s = None
            found = await until(lambda: record(aws, "a.jpg"))
    assert found.receives == 1


@CONCURRENT
async def test_lost_replies_cause_no_duplicates(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the first reply of each kind of call is lost, each upload still has one record and one invocation."""
    seen: set[str] = set()

    def once_each(request: Any) -> Fault | None:
        kind = request.headers.get("X-Amz-Target") or f"{request.method} {request.path.count('/')}"
        if kind in seen or "Receive" in kind:
            return None
        seen.add(kind)
        return "middle" if kind.startswith("GET") else "after"

    names = ("S3", "DYNAMODB", "SQS")
    async with FaultyProxy(aws.url, fault=once_each).serve() as proxy:
        for name in names:
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", proxy.url)
        async with working(fast):
            for number in range(6):
                await upload(aws, f"{number}.jpg", picture(number))
            await until(lambda: empty(aws))
    assert {kind for kind in seen if "Item" in kind or "Delete" in kind or "GET" in kind}
    for number in range(6):
        found = await record(aws, f"{number}.jpg")
        assert found is not None
        assert found.revision == 1
    assert set(endpoint.calls.values()) == {1}
    assert len(endpoint.calls) == 6


@CONCURRENT
async def test_a_failed_delete_causes_no_second_invocation(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message whose delete was lost comes back, is answered from the table, and is deleted."""
    refuse = True

    def deletes(request: Any) -> Fault | None:
        return "before" if refuse and "DeleteMessage" in request.headers.get("X-Amz-Target", "") else None

    async with FaultyProxy(aws.url, fault=deletes).serve() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", proxy.url)
        async with working(fast, visibility_s=3, heartbeat_s=1):
            await upload(aws, "a.jpg", picture(1))
            await until(lambda: record(aws, "a.jpg"))

            async def came_back() -> bool:
                return (await queued(aws))[0] > 0 or proxy.faults > 6

            await until(came_back, seconds=60)
            refuse = False
            await until(lambda: empty(aws), seconds=60)
    found = await record(aws, "a.jpg")
    assert found is not None
    assert (found.revision, sum(endpoint.calls.values())) == (1, 1)


@CONCURRENT
async def test_receipts_that_crash_the_model_do_not_block_others(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """A good receipt is done while receipts that always crash the model wait."""
    bad = {picture(1), picture(2)}
    endpoint.fault_for = lambda body: "ModelError:500" if body in bad else None
    async with working(fast) as worker:
        for number, body in enumerate(sorted(bad)):
            await upload(aws, f"bad-{number}.jpg", body)

        async def open_breaker() -> bool:
            return any(breaker.open for breaker in worker.parts.dependencies.breakers)

        await until(open_breaker)
        await upload(aws, "good.jpg", picture(3))
        await until(lambda: record(aws, "good.jpg"))
