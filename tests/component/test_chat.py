"""The `chat` protocol in a worker: the single repair request, its cost, and the result if it does not help."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.stage import empty, record, until, upload, working
from tests.support.endpoint import FakeEndpoint
from tests.support.pictures import picture
from worker.receipts.record import Record

GOOD = '{"merchant": {"name": "Shop"}, "purchase_date": "2026-03-04", "currency": "EUR", "total": "3.50"}'
HALF = '{"merchant": {"name": "Shop"}, "purchase_date": "05/04/2026", "currency": "EUR", "total": "3.50"}'


def completion(content: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 900, "completion_tokens": 50}
    return json.dumps({"model": "gemma", "choices": [choice], "usage": usage}).encode()


def asked_again(body: bytes) -> bool:
    return len(json.loads(body)["messages"]) > 2


@pytest.fixture
def read(aws: Aws, fast: dict[str, Any]) -> Callable[[], Any]:
    async def one() -> Record:
        async with working(fast, protocol="chat"):
            await upload(aws, "one.jpg", picture(1))
            found: Record = await until(lambda: record(aws, "one.jpg"))
            await until(lambda: empty(aws))
            return found

    return one


async def test_an_unusable_answer_is_requested_once_more(read: Callable[[], Any], endpoint: FakeEndpoint) -> None:
    """The second answer is stored, with the calls and tokens of both."""
    endpoint.answer = lambda body: completion(GOOD if asked_again(body) else "I see a receipt.")
    found = await read()
    assert (found.status, found.receipt.total, found.attempts) == ("extracted", Decimal("3.50"), 2)
    assert found.model.usage == {"prompt_tokens": 1800, "completion_tokens": 100}


async def test_a_refused_repair_keeps_the_first_answer(read: Callable[[], Any], endpoint: FakeEndpoint) -> None:
    """If the endpoint refuses the repair request, the valid fields of the first answer are kept for a review."""
    endpoint.answer = lambda _: completion(HALF)
    endpoint.fault_for = lambda body: "ModelError:400" if asked_again(body) else None
    found = await read()
    assert (found.status, found.receipt.total) == ("needs_review", Decimal("3.50"))
    assert found.receipt.purchase_date is None
    assert [check.name for check in found.checks] == ["fields_left_out", "date_missing"]
    assert found.model.usage == {"prompt_tokens": 900, "completion_tokens": 50}
