"""What people see of a record."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from worker.commands.list import _for_people
from worker.commands.support.rows import folded
from worker.commands.support.screen import COLUMNS, record_table, seconds, troubles
from worker.receipts.receipt import Merchant, Receipt
from worker.receipts.record import CheckResult, Record
from worker.results.query import Page, Row


def record(**changes: Any) -> Record:
    """Return a record of a receipt that adds up."""
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
    """Key, status, merchant, amount, confidence and seconds stand in the row; a receipt's text cannot colour it."""
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
def test_no_word_is_broken_however_narrow_the_terminal_is(width: int) -> None:
    """At each width a row keeps its words whole: status, amount, date, sentences, and a key between its slashes."""
    checks = (CheckResult(name="a", message="Subtotal 98000, taxes, discount and tip do not give the total 107800."),)
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
    """The lines of a key are the key; each fits where it has a place to fold it at."""
    lines = folded(key, width)
    assert "".join(lines) == key
    assert all(len(line) <= width or not re.search(r"[-_ /].", line) for line in lines)


def test_what_did_not_add_up_is_told_in_sentences() -> None:
    """Checks give their sentences; what has no receipt gives its reason."""
    checks = (CheckResult(name="a", message="One thing."), CheckResult(name="b", message="Another."))
    assert troubles(record(checks=checks)) == "One thing. Another."
    empty = record(status="rejected", receipt=None, reason="empty", detail="the object has no bytes")
    assert troubles(empty) == "empty: the object has no bytes"


def test_seconds_are_from_the_upload_to_the_record() -> None:
    """The clock of S3 may be ahead of the worker's: then it is zero and never less."""
    assert seconds(record()) == 1.75
    assert seconds(record(stored_at="2026-11-23T09:59:59.000Z")) == 0


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_a_list_breaks_no_word_either(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`receipts list` keeps status, time and document whole, and tells what it notes of a record."""
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
    _for_people(Page(rows=(row,), cursor=None, read=1, index="by_status"))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= int(width)
    words = " ".join(lines).split()
    for part in ("needs_review", "10:00", "107,800.00", "items_sum", "PANDAN"):
        assert part in words
    assert "bucket/samples/my-restaurant-sst.jpg" in "".join(words)
