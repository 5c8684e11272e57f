"""Corrections by people, stored beside the model's reading."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from worker.receipts.corrections import FIELDS, corrected, flat
from worker.receipts.receipt import Item, Merchant, Receipt
from worker.receipts.record import Record
from worker.results.rows import from_item, to_item

SAID = Receipt(
    merchant=Merchant(name="ALDl", phone="123"),
    purchase_date=dt.date(2026, 1, 2),
    total=Decimal("12.34"),
    currency="EUR",
)


def record_of(**corrections: Any) -> Record:
    """Return a record with `corrections`."""
    moment = "2026-01-03T00:00:00.000Z"
    return Record(
        document="b/k",
        status="needs_review",
        uploaded_at=moment,
        stored_at=moment,
        receipt=SAID,
        corrections=corrections,
    )


def test_a_correction_changes_its_field_alone() -> None:
    """A corrected field has the person's value, all others have the model's."""
    assert corrected(SAID, {"merchant.name": "ALDI", "total": "12.84"}) == SAID.model_copy(
        update={"merchant": Merchant(name="ALDI", phone="123"), "total": Decimal("12.84")}
    )


def test_a_field_can_be_removed_and_items_replaced() -> None:
    """None removes a field, and items are corrected as a whole."""
    holds = corrected(SAID, {"purchase_date": None, "items": [{"description": "Milk", "amount": "1.09"}]})
    assert holds is not None
    assert holds.purchase_date is None
    assert holds.items == (Item(description="Milk", amount=Decimal("1.09")),)
    assert corrected(holds, {"items": None}).items == ()  # type: ignore[union-attr] # a receipt stays a receipt


def test_corrections_alone_make_a_receipt() -> None:
    """Without a reading the corrections make the receipt; without both there is none."""
    assert corrected(None, {"total": "5"}) == Receipt(total=Decimal(5))
    assert corrected(None, {}) is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"totl": "1"}, "unknown field 'totl'"),
        ({"merchant": {"name": "x"}}, "unknown field 'merchant'"),
        ({"total": "a lot"}, "total: expected a decimal string"),
        ({"total": "0." + 140 * "0" + "1"}, "total: the number has more than 30 digits"),
        ({"purchase_date": "2026-13-01"}, "purchase_date: expected a date such as"),
        ({"purchase_date": 0}, "purchase_date: expected a date such as"),
        ({"purchase_date": "1700006400"}, "purchase_date: expected a date such as"),
        ({"purchase_time": "0٩:00"}, "purchase_time: expected a time such as"),
        ({"payment.card_last_four": "٤٢٤٢"}, "payment.card_last_four: expected four digits"),
        ({"payment.card_last_four": "4242424242424242"}, "payment.card_last_four"),
        ({"items": [{"amount": "x"}]}, "items.0.amount"),
        ({"currency": "euro"}, "currency: expected a code of three capital letters"),
    ],
)
def test_an_invalid_correction_is_refused(wrong: dict[str, Any], says: str) -> None:
    """An invalid correction raises an error that names the field."""
    with pytest.raises(ValueError, match=says):
        corrected(SAID, wrong)


def test_every_field_has_a_path() -> None:
    """Each field of a receipt can be corrected by exactly one path."""
    assert [path for path, _ in flat(SAID)] == list(FIELDS)
    assert {path.split(".")[0] for path in FIELDS} == set(Receipt.model_fields)


def test_queries_use_the_corrected_values() -> None:
    """Attributes and index keys have the corrected values, `receipt` keeps the model's, and nothing is lost."""
    record = record_of(**{"merchant.name": "ALDI", "purchase_date": "2026-02-01", "total": "9.99"})
    item = to_item(record)
    assert (item["merchant_key"], item["purchase_month"], item["total"]) == ("aldi", "2026-02", Decimal("9.99"))
    assert item["receipt"]["merchant"]["name"] == "ALDl"
    assert from_item(item) == record
    assert record.as_json()["total"] == "9.99"
    assert record.as_json()["receipt"]["total"] == "12.34"


def test_invalid_corrections_in_the_table_are_ignored() -> None:
    """An invalid correction that was written directly into the table is ignored."""
    record = record_of(total="much")
    assert record.corrected == SAID
    assert to_item(record)["total"] == Decimal("12.34")
