"""Records as people see them in a terminal."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from worker.commands.list import _print
from worker.commands.support.rows import folded
from worker.commands.support.screen import COLUMNS, record_table, seconds, troubles
from worker.receipts.receipt import Merchant, Receipt
from worker.receipts.record import CheckResult, Record
from worker.results.query import Page, Row


def record(**changes: Any) -> Record:
    """Return a record whose checks pass."""
    values: dict[str, Any] = {
        "document": "bucket/2026/a.jpg",
        "status": "extracted",
        "uploaded_at": "2026-11-23T10:00:00.250Z",
        "stored_at": "2026-11-23T10:00:02.000Z",
        "receipt": Receipt(merchant=Merchant(name="Corner [bold]Shop\x1b[31m"), total="1234.50", currency="EUR"),
        "confidence": 0.914,
    }
    return Record(**(values | changes))


def test_a_row_shows_what_was_read() -> None:
    """A row has key, status, merchant, amount, confidence and seconds; a receipt's text cannot colour it."""
    table = record_table([record()], width=200)
    assert [column.header for column in table.columns] == list(COLUMNS)
    out = io.StringIO()
    Console(width=200, file=out).print(table)
    text = out.getvalue()
    for part in ("2026/a.jpg", "extracted", "Corner [bold]Shop", "1,234.50", "EUR", "0.91", "1.8"):
        assert part in text
    assert "\x1b" not in text


LONG = "2026/travel expenses/november/my-restaurant-with-a-long-name-kuala-lumpur-sst-receipt.jpg"


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_word_is_broken_in_a_narrow_terminal(width: int) -> None:
    """At each width a row keeps words whole: status, amount, date, sentences, and the parts of a key."""
    checks = (
        CheckResult(name="a", message="Subtotal 98000, taxes, discount and tip do not add up to the total 107800."),
    )
    receipt = Receipt(
        merchant=Merchant(name="RESTORAN DAUN PANDAN SDN BHD"),
        purchase_date="2025-11-09",
        total="107800",
        currency="IDR",
    )
    found = [
        record(document=f"bucket/{LONG}", status="needs_review", receipt=receipt, checks=checks),
        record(document="bucket/samples/my-restaurant-sst.jpg", receipt=receipt),
        record(status="rejected", receipt=None, reason="empty", detail="the object has no bytes", confidence=None),
    ]
    out = io.StringIO()
    Console(width=width, file=out).print(record_table(found, width=width))
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    words = " ".join(lines).replace(", ", " ").split()
    for part in (
        *("needs_review", "extracted", "rejected", "107,800.00", "IDR", "RESTORAN", "discount", "empty:"),
        *("samples/my-restaurant-sst.jpg", "0.91"),
    ):
        assert part in words
    assert any("2025-11-09" in word for word in words)


@given(key=st.text(alphabet="abc/-_ ", max_size=80), width=st.integers(1, 40))
def test_a_key_is_folded_without_loss(key: str, width: int) -> None:
    """The joined lines are the key, and each line fits as far as the key has places to wrap at."""
    lines = folded(key, width)
    assert "".join(lines) == key
    assert all(len(line) <= width or not re.search(r"[-_ /].", line) for line in lines)


def test_failed_checks_are_shown_as_sentences() -> None:
    """Failed checks give their messages; a record without a receipt gives its reason."""
    checks = (CheckResult(name="a", message="One thing."), CheckResult(name="b", message="Another."))
    assert troubles(record(checks=checks)) == "One thing. Another."
    empty = record(status="rejected", receipt=None, reason="empty", detail="the object has no bytes")
    assert troubles(empty) == "empty: the object has no bytes"


def test_seconds_are_from_the_upload_to_the_record() -> None:
    """The time is 0, never negative, if S3's clock is ahead of the worker's."""
    assert seconds(record()) == 1.75
    assert seconds(record(stored_at="2026-11-23T09:59:59.000Z")) == 0


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_a_list_keeps_words_whole(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`receipts list` keeps status, time and document whole, and shows its remarks on a record."""
    monkeypatch.setattr("worker.commands.support.terminal.PIPED_WIDTH", int(width))
    row = Row(
        document="bucket/samples/my-restaurant-sst.jpg",
        status="needs_review",
        merchant=Merchant(name="RESTORAN DAUN PANDAN SDN BHD"),
        total="107800",
        currency="IDR",
        uploaded_at="2026-11-23T10:00:00.250Z",
        stored_at="2026-11-23T10:00:02.000Z",
        checks=(CheckResult(name="items_sum", message="x"),),
    )
    _print(Page(rows=(row,), cursor=None, read=1, index="by_status"))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= int(width)
    words = " ".join(lines).split()
    for part in ("needs_review", "10:00", "107,800.00", "items_sum", "PANDAN"):
        assert part in words
    assert "bucket/samples/my-restaurant-sst.jpg" in "".join(words)
