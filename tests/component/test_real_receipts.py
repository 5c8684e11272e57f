"""Real receipts: a sample is read as accurately as docs/models.md states. `make evaluate` measures all of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from worker.errors import Rejected
from worker.receipts.checks import DEFAULT_THRESHOLD, check, decide
from worker.receipts.receipt import Merchant, Reading
from worker.settings import Settings
from worker.workbench.evaluation import readers, truth
from worker.workbench.evaluation.evaluate import evaluate
from worker.workbench.evaluation.readers import Read
from worker.workbench.evaluation.scores import ReceiptScore, summarise

SHARED = Path(__file__).parents[3] / "shared" / "receipts"
EVERY = 12
"""Every twelfth receipt is read, because all of them take minutes."""

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the real receipts are not beside the project"),
    pytest.mark.asyncio(loop_scope="module"),
]

ODD = {
    "noexif_rot90.jpg": "read",
    "noexif_rot180.jpg": "read",
    "exif_orientation_6.jpg": "read",
    "skew7.jpg": "read",
    "inverted.jpg": "read",
    "alpha_black_ink.png": "read",
    "gray16.png": "read",
    "bilevel_g4.tif": "read",
    "receipt_image.pdf": "read",
    "phone.heic": "read",
    "multipage.tif": "review",
    "several_receipts_one_photo.jpg": "review",
    "noise.jpg": "nothing",
    "blank_white.png": "nothing",
    "truncated_half.jpg": "rejected",
    "bomb_900mp_1bit.png": "rejected",
}


def today() -> Any:
    return datetime.now(UTC).date()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def read() -> AsyncIterator[Read]:
    async with readers.embedded(Settings(), processes=2) as read:
        yield read


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scores(read: Read) -> tuple[ReceiptScore, ...]:
    known = truth.load(SHARED / "dev" / "truth.jsonl")[::EVERY]
    images = SHARED / "dev" / "images"
    return await evaluate(known, images, read, threshold=DEFAULT_THRESHOLD, at_once=2, today=today())


async def test_main_fields_are_read(scores: tuple[ReceiptScore, ...]) -> None:
    """At most one total, one date and three names are missing, and few are wrong."""
    fields = summarise(scores)["fields"]
    count = len(scores)
    assert fields["total"]["exact"] * count >= count - 1
    assert fields["date"]["exact"] * count >= count - 1
    assert fields["merchant"]["fuzzy"] * count >= count - 3


async def test_extracted_receipts_have_the_right_total(scores: tuple[ReceiptScore, ...]) -> None:
    """Most receipts need no review, and their totals are right."""
    decision = summarise(scores)["decision"]
    assert decision["extracted"] >= 0.6
    assert decision["total_right_of_extracted"] == 1


@pytest.mark.parametrize(("file", "outcome"), ODD.items())
async def test_odd_files_have_the_expected_outcome(read: Read, file: str, outcome: str) -> None:
    """Turned, inverted or unusually stored pages are read normally; other pictures give no total."""
    expected = await asyncio.to_thread(_expected, file)
    data = await asyncio.to_thread((SHARED / "odd" / "files" / file).read_bytes)
    if outcome == "rejected":
        with pytest.raises(Rejected):
            await read(data)
        return
    reading = await read(data)
    receipt = reading.receipt
    if outcome == "nothing":
        assert (receipt.total, receipt.purchase_date, receipt.merchant) == (None, None, Merchant())
        return
    if expected["total"]:
        assert receipt.total == Decimal(expected["total"])
        assert str(receipt.purchase_date) == expected["date"]
    if outcome == "review":
        assert _decision(reading) == "needs_review"


def _expected(file: str) -> dict[str, Any]:
    lines = (SHARED / "odd" / "expect.jsonl").read_text("utf-8").splitlines()
    return next(row for row in map(json.loads, lines) if row["file"] == file)


def _decision(reading: Reading) -> str:
    return decide(reading, check(reading.receipt, today=today()), threshold=DEFAULT_THRESHOLD)
