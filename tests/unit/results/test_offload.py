"""Receipts too large for a row are stored in the bucket, and the rest fits into the row."""

from decimal import Decimal
from typing import Any, cast

import pytest

from tests.support.virtual import now, virtual
from worker.receipts.receipt import Item, Reading, Receipt, Tax
from worker.receipts.record import ModelIdentity
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.results.answer import Answer
from worker.results.offload import MOST_BYTES, Offload


class Bucket:
    """A fake S3 client that keeps the objects put."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put_object(self, **request: Any) -> None:
        """Put one object."""
        self.objects[f"{request['Bucket']}/{request['Key']}"] = request["Body"]


@pytest.mark.parametrize(("items", "taxes"), [(0, 0), (3_000, 2), (0, 50)])
def test_an_answer_fits_a_row_and_loses_nothing(items: int, taxes: int) -> None:
    """The stored text is within the limit, and contains the whole receipt or names the object that does."""
    receipt = Receipt(
        total=Decimal("3.50"),
        taxes=tuple(Tax(description="\u7a0e" * 2_000, amount=Decimal(number)) for number in range(taxes)),
        items=tuple(Item(description=f"item {number} " + "x" * 60, amount=Decimal(1)) for number in range(items)),
    )
    answer = Answer(
        reading=Reading(receipt=receipt, confidence={}),
        model=ModelIdentity(endpoint="receipts", protocol="image", protocol_version="1"),
        attempts=1,
        answered_at="2026-11-23T00:00:00.000Z",
        document="b/k",
        media_type="image/jpeg",
        pages=1,
    )

    @virtual
    async def check() -> None:
        bucket = Bucket()
        dependency = Dependency("s3", Breaker("s3", BreakerPolicy(), clock=now), RetryPolicy())
        fitted = await Offload(cast("Any", bucket), dependency).fit_answer(answer, bucket="b", sha256="0" * 64)
        kept = Answer.model_validate_json(fitted.text)
        assert len(fitted.text.encode()) <= MOST_BYTES
        if items or taxes:
            assert kept.receipt_object is not None
            assert Receipt.model_validate_json(bucket.objects[kept.receipt_object]) == receipt
        else:
            assert (kept, bucket.objects) == (answer, {})

    check()
