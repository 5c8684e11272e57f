"""Differences between two models' answers."""

from decimal import Decimal
from typing import Any

from tests.component.records import receipt, record
from worker.receipts.receipt import Item, Receipt
from worker.receipts.record import Record
from worker.results.diff import Difference, changes


def reread(before: Receipt, after: Receipt, **more: Any) -> Record:
    """Return a record whose previous answer was `before` and whose current one is `after`."""
    return record(1, said=after, history=({"revision": 1, "receipt": before.model_dump(mode="json")},), **more)


def test_the_same_answer_is_not_a_change() -> None:
    """Amounts with more zeros are equal, and a record with a single answer has no changes."""
    longer = receipt(1, total=Decimal("2.0"), items=(Item(description="Milk", quantity=Decimal("2.00"), unit_price=Decimal("0.5"), amount=Decimal(1)),))  # fmt: skip  # noqa: E501
    assert list(changes(reread(receipt(1), longer))) == []
    assert list(changes(record(1))) == []


def test_each_kind_of_change_is_distinguished() -> None:
    """A new field is `found`, a missing one `lost`, and another value `changed`."""
    before = receipt(1, total=None)
    after = receipt(1, receipt_number=None, currency="USD")
    assert {(one.field, one.kind) for one in changes(reread(before, after))} == {
        ("total", "found"),
        ("receipt_number", "lost"),
        ("currency", "changed"),
    }


def test_two_numbers_of_receipts_are_two() -> None:
    """Texts are compared as text, so leading zeros matter."""
    found = list(changes(reread(receipt(1, receipt_number="0012"), receipt(1, receipt_number="12"))))
    assert [one.field for one in found] == ["receipt_number"]


def test_changes_are_counted_and_compared_with_corrections() -> None:
    """`Difference` counts the changes per field and how many agree with a person's correction."""
    difference = Difference()
    difference.add(reread(receipt(1), receipt(1, total=Decimal(7)), corrections={"total": "7.00"}))
    difference.add(reread(receipt(1), receipt(1, total=Decimal(8)), corrections={"total": "7.00"}))
    difference.add(record(2))
    said = difference.as_json()
    assert (said["records"], said["compared"], said["changed"]) == (3, 2, 2)
    assert said["fields"] == {"total": {"changed": 2, "right": 1, "wrong": 1}}
