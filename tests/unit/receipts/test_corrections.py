"""A person's corrections beside the model's words."""

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
    """Return a record that a person has corrected."""
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
    """What is corrected has the person's value, everything else the model's."""
    assert corrected(SAID, {"merchant.name": "ALDI", "total": "12.84"}) == SAID.model_copy(
        update={"merchant": Merchant(name="ALDI", phone="123"), "total": Decimal("12.84")}
    )


def test_a_field_can_be_taken_away_and_items_replaced() -> None:
    """None says that a field is not on the receipt; items are corrected whole."""
    holds = corrected(SAID, {"purchase_date": None, "items": [{"description": "Milk", "amount": "1.09"}]})
    assert holds is not None
    assert holds.purchase_date is None
    assert holds.items == (Item(description="Milk", amount=Decimal("1.09")),)
    assert corrected(holds, {"items": None}).items == ()  # type: ignore[union-attr] # a receipt comes of a receipt


def test_what_was_never_read_can_be_keyed_in() -> None:
    """Without a reading the corrections alone make the receipt; without either there is none."""
    assert corrected(None, {"total": "5"}) == Receipt(total=Decimal(5))
    assert corrected(None, {}) is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"totl": "1"}, "there is no field 'totl'"),
        ({"merchant": {"name": "x"}}, "there is no field 'merchant'"),
        ({"total": "a lot"}, "total: a decimal string"),
        ({"total": "0." + 140 * "0" + "1"}, "total: at most 30 digits"),
        ({"purchase_date": "2026-13-01"}, "purchase_date: a date such as"),
        ({"purchase_date": 0}, "purchase_date: a date such as"),
        ({"purchase_date": "1700006400"}, "purchase_date: a date such as"),
        ({"purchase_time": "0٩:00"}, "purchase_time: a time such as"),
        ({"payment.card_last_four": "٤٢٤٢"}, "payment.card_last_four: four digits"),
        ({"payment.card_last_four": "4242424242424242"}, "payment.card_last_four"),
        ({"items": [{"amount": "x"}]}, "items.0.amount"),
        ({"currency": "euro"}, "currency: a code of three capital letters"),
    ],
)
def test_what_no_receipt_can_say_is_refused(wrong: dict[str, Any], says: str) -> None:
    """A correction is checked as a model's answer is, and its error names the field."""
    with pytest.raises(ValueError, match=says):
        corrected(SAID, wrong)


def test_every_field_has_a_path() -> None:
    """Each field of a receipt can be corrected, by exactly one path."""
    assert [path for path, _ in flat(SAID)] == list(FIELDS)
    assert {path.split(".")[0] for path in FIELDS} == set(Receipt.model_fields)


def test_the_table_is_queried_by_what_holds_and_keeps_what_was_read() -> None:
    """Attributes and index keys follow a correction; `receipt` keeps the model's words; the record comes back whole."""
    record = record_of(**{"merchant.name": "ALDI", "purchase_date": "2026-02-01", "total": "9.99"})
    item = to_item(record)
    assert (item["merchant_key"], item["purchase_month"], item["total"]) == ("aldi", "2026-02", Decimal("9.99"))
    assert item["receipt"]["merchant"]["name"] == "ALDl"
    assert from_item(item) == record
    assert record.as_json()["total"] == "9.99"
    assert record.as_json()["receipt"]["total"] == "12.34"


def test_corrections_broken_by_hand_do_not_stop_anything() -> None:
    """What somebody wrote into the table past our checks is left aside."""
    record = record_of(total="much")
    assert record.corrected == SAID
    assert to_item(record)["total"] == Decimal("12.34")
