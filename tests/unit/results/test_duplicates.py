"""Detection of possible duplicates among given candidates."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.component.records import receipt, record
from worker.receipts.receipt import Merchant, Payment
from worker.receipts.record import Record
from worker.results.duplicates import find_duplicate
from worker.results.query import Row
from worker.results.rows import to_item


def row(of: Record) -> Row:
    """Return `of` as the row of a list."""
    return Row.model_validate(to_item(of))


NEW = record(9, said=receipt(1))


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"merchant": Merchant(name="CAFE MÜLLER.")}, True),
        ({"merchant": Merchant(name="Café Möller")}, False),
        ({"merchant": Merchant()}, False),
        ({"total": Decimal("2.01")}, False),
        ({"purchase_date": dt.date(2026, 10, 3)}, False),
        ({"currency": "USD"}, False),
        ({"receipt_number": "R-2"}, False),
        ({"receipt_number": "r 1"}, True),
        ({"receipt_number": None}, True),  # the card decides
        ({"receipt_number": None, "payment": Payment()}, False),
        ({"receipt_number": None, "payment": Payment(card_last_four="9999")}, False),
        ({"payment": Payment()}, True),  # the number decides
    ],
)
def test_the_same_purchase_has_the_same_merchant_day_total_and_number_or_card(
    changes: dict[str, Any], alike: bool
) -> None:
    """Merchant, day and total must agree, and the receipt's number or, without one, the card's digits."""
    other = record(1, said=receipt(1, **changes))
    assert find_duplicate(NEW, [row(other)]) == (other.document if alike else None)


def test_the_same_bytes_are_a_duplicate_whatever_was_read() -> None:
    """Equal content under another key is a duplicate."""
    other = record(1, said=receipt(7), content_sha256=NEW.content_sha256)
    assert find_duplicate(NEW, [row(other)]) == other.document


def test_nothing_is_its_own_duplicate_nor_that_of_its_duplicate() -> None:
    """A record does not match itself, and of two only one is marked."""
    marked = record(1, said=receipt(1), possible_duplicate_of=NEW.document)
    assert find_duplicate(NEW, [row(NEW), row(marked)]) is None


def test_the_first_upload_is_the_one_that_is_named() -> None:
    """Of several matches, the oldest is named, whatever their order."""
    others = [row(record(number, said=receipt(1))) for number in (3, 1, 2)]
    assert find_duplicate(NEW, others) == record(1).document


def test_a_failed_record_is_not_a_duplicate() -> None:
    """Only records with a reading can be duplicates."""
    assert find_duplicate(NEW, [row(record(1, status="rejected", content_sha256=NEW.content_sha256))]) is None
