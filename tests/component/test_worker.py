"""The worker with real clients: uploads to S3 become rows of the table."""

import asyncio
import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.stage import CONCURRENT, empty, left, record, until, upload, working
from tests.support.endpoint import FakeEndpoint, total_of
from tests.support.pictures import broken_jpeg, picture


async def test_an_upload_becomes_a_row(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """An upload becomes a row with the endpoint's reading, and its message is deleted."""
    body = picture(1)
    async with working(fast):
        await upload(aws, "a b/ü+&.jpg", body)
        found = await until(lambda: record(aws, "a b/ü+&.jpg"))
        await until(lambda: empty(aws))
    assert found.receipt.total == Decimal(total_of(body))
    assert found.status in {"extracted", "needs_review"}
    assert found.attempts == 1


@pytest.mark.parametrize("direct", [True, False])
async def test_the_settings_select_variant_model_and_component(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], *, direct: bool
) -> None:
    """Variant, model and inference component of the settings are sent as SageMaker's headers."""
    named = {"target_variant": "Green", "target_model": "m.tar.gz", "inference_component": "reader"}
    async with working(fast, **named, direct_calls=direct):
        await upload(aws, "one.jpg", picture(4))
        await until(lambda: record(aws, "one.jpg"))
    assert endpoint.headers["X-Amzn-SageMaker-Target-Variant"] == "Green"
    assert endpoint.headers["X-Amzn-SageMaker-Target-Model"] == "m.tar.gz"
    assert endpoint.headers["X-Amzn-SageMaker-Inference-Component"] == "reader"


@CONCURRENT
async def test_the_same_bytes_are_paid_for_once(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """Eight keys with the same bytes become eight rows with one invocation."""
    body = picture(2)
    endpoint.service_s = lambda: 0.3
    async with working(fast):
        keys = [f"copy-{number}.jpg" for number in range(8)]
        await asyncio.gather(*(upload(aws, key, body) for key in keys))
        for key in keys:
            found = await until(partial(record, aws, key))
            assert found.receipt.total == Decimal(total_of(body))
        await until(lambda: empty(aws))
    assert sum(endpoint.calls.values()) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b"hello", "not_an_image"), (picture(3)[:300], "truncated")],
    ids=["empty", "text", "half"],
)
async def test_an_invalid_picture_is_rejected_with_its_reason(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], body: bytes, reason: str
) -> None:
    """An upload that is not a valid picture becomes a rejected row, without a call of the endpoint."""
    async with working(fast):
        await upload(aws, "bad.jpg", body)
        found = await until(lambda: record(aws, "bad.jpg"))
        await until(lambda: empty(aws))
    assert (found.status, found.reason) == ("rejected", reason)
    assert endpoint.begun == 0


async def test_an_unknown_body_is_dead_lettered_with_its_reason(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """A message without an upload is moved to the dead-letter queue with its body and a reason."""
    body = json.dumps({"what": "is this?"})
    async with working(fast):
        await aws.clients.sqs.send_message(QueueUrl=aws.resources.queue_url, MessageBody=body)
        await until(lambda: empty(aws))
    reply = await aws.clients.sqs.receive_message(
        QueueUrl=aws.resources.dead_letter_url, MessageAttributeNames=["All"], WaitTimeSeconds=2
    )
    (message,) = reply["Messages"]
    assert message["Body"] == body
    assert message["MessageAttributes"]["reason"]["StringValue"] == "unknown_body"


async def test_an_outage_of_the_endpoint_uses_up_no_receives(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """Receipts wait during an outage of the endpoint, and are done on their first receive after it."""
    endpoint.down = True
    async with working(fast) as worker:
        for number in range(4):
            await upload(aws, f"{number}.jpg", picture(100 + number))

        async def open_breaker() -> bool:
            return any(breaker.open for breaker in worker.parts.dependencies.breakers)

        await until(open_breaker)
        await asyncio.sleep(7)  # longer than the visibility timeout without extension
        endpoint.down = False
        for number in range(4):
            found = await until(partial(record, aws, f"{number}.jpg"))
            assert found.receives == 1
        await until(lambda: empty(aws))
    assert await left(aws, aws.resources.dead_letter_url) == 0


@pytest.mark.parametrize(
    ("second", "currency"),
    [("EUR", "EUR"), ("EURO", None), (None, None)],
    ids=["corrected", "wrong again", "no receipt the second time"],
)
async def test_one_wrong_field_does_not_lose_the_receipt(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], second: str | None, currency: str | None
) -> None:
    """A chat model is asked again about a wrong field. A field that is wrong twice is left out, and needs review."""

    def answer(_body: bytes) -> bytes:
        said = second if endpoint.calls.total() > 1 else "EURO"
        known = {"merchant": {"name": "Corner Shop"}, "purchase_date": "2026-05-17", "total": "3.50", "currency": said}
        content = json.dumps(known) if said else "I am sorry"
        return json.dumps({"choices": [{"message": {"content": content}}]}).encode()

    endpoint.answer = answer
    async with working(fast, protocol="chat"):
        await upload(aws, "one.jpg", picture(6))
        found = await until(lambda: record(aws, "one.jpg"))
        await until(lambda: empty(aws))
    assert found.attempts == 2
    assert (found.receipt.total, found.receipt.currency) == (Decimal("3.50"), currency)
    assert found.status == ("extracted" if currency else "needs_review")
    assert [check.name for check in found.checks] == ([] if currency else ["fields_left_out"])


async def test_a_failing_receipt_is_recorded_and_dead_lettered(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """A receipt that the model always refuses becomes a failed row, and its message a dead letter."""
    endpoint.fault = lambda: "ModelError:422"
    async with working(fast):
        await upload(aws, "bad.jpg", picture(5))

        async def dead() -> bool:
            return await left(aws, aws.resources.dead_letter_url) == 1

        await until(dead, seconds=60)
    found = await record(aws, "bad.jpg")
    assert found is not None
    assert (found.status, found.reason) == ("failed", "model_refused")
    assert found.receives == aws.specs.queue.max_receive_count


async def test_a_picture_with_broken_data_is_rejected_when_the_model_refuses_it(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """A JPEG with broken data is sent to the model, and rejected as corrupt after the first refusal."""
    endpoint.fault = lambda: "ModelError:400"
    async with working(fast):
        await upload(aws, "broken.jpg", broken_jpeg())
        found = await until(lambda: record(aws, "broken.jpg"))
        await until(lambda: empty(aws))
    assert (found.status, found.reason) == ("rejected", "corrupt")
    assert await left(aws, aws.resources.dead_letter_url) == 0
    assert endpoint.begun == 1


async def test_a_stop_releases_unfinished_messages(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """A stopped worker makes its unfinished message visible at once for the next worker."""
    endpoint.service_s = lambda: 30
    async with working(fast, drain_s=0.3, visibility_s=60, heartbeat_s=20):
        await upload(aws, "slow.jpg", picture(6))

        async def invoked() -> bool:
            return endpoint.running == 1

        await until(invoked)
    endpoint.service_s = lambda: 0
    async with working(fast):
        found = await until(lambda: record(aws, "slow.jpg"), seconds=5)
    assert found.receives == 2
