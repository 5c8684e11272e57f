"""The record: its form in the table, and the rules by which a new one replaces it."""

import datetime as dt
import itertools
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.receipts.receipt import Receipt
from worker.receipts.record import HISTORY_LENGTH, MOST_HISTORY_BYTES, Record, merchant_key, succeed
from worker.results.attributes import from_attributes, to_attributes
from worker.results.rows import from_item, to_item

money = st.none() | st.decimals(min_value=-9_999, max_value=9_999, places=2)
words = st.none() | st.text(st.characters(codec="utf-8"), max_size=30)
receipts = st.builds(
    lambda name, total, tip, description: Receipt.model_validate(
        {
            "merchant": {"name": name},
            "total": total,
            "tip": tip,
            "items": [{"description": description, "amount": total}],
        }
    ),
    words,
    money,
    money,
    words,
)


def stamp(number: int) -> str:
    return f"2026-01-01T00:{number // 60:02}:{number % 60:02}.000Z"


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Return a record of one of three uploads, with one of two answers or a failure."""
    upload = draw(st.integers(0, 2))
    answer = draw(st.none() | st.integers(0, 1))
    base: dict[str, Any] = {
        "document": "b/k",
        "uploaded_at": stamp(upload),
        "sequencer": f"{upload:X}",
        "etag": f"e{upload}",
        "stored_at": stamp(draw(st.integers(100, 3_000))),
        "receives": draw(st.integers(1, 5)),
    }
    if answer is None:
        return Record(**base, status=draw(st.sampled_from(["failed", "rejected"])))
    receipt = Receipt.model_validate({"total": str(upload * 10 + answer)})
    return Record(**base, status="extracted", receipt=receipt, answered_at=stamp(answer), confidence=0.5)


def end_of(puts: list[Record]) -> Record:
    """Return the record in the table after `puts`."""
    there = puts[0]
    for record in puts[1:]:
        there = succeed(there, record) or there
    return there


def content(record: Record) -> tuple[Any, ...]:
    return record.uploaded_at, record.status, record.receipt, record.answered_at


@given(st.lists(records(), min_size=1, max_size=4), st.data())
def test_any_order_of_puts_ends_in_the_same_record(puts: list[Record], data: st.DataObject) -> None:
    """The same records, put in any order and repeatedly, end in the same current record."""
    again = data.draw(st.permutations(puts + data.draw(st.lists(st.sampled_from(puts), max_size=3))))
    assert content(end_of(again)) == content(end_of(puts))


@given(records(), records())
def test_an_older_upload_never_replaces_a_newer(old: Record, new: Record) -> None:
    """A record is replaced only by one of the same upload or a newer one."""
    if successor := succeed(old, new):
        assert not successor.version.older_than(old.version)
        assert successor.revision == old.revision + 1


@given(records())
def test_the_same_record_twice_changes_nothing(record: Record) -> None:
    """A second put of the same record does not make a new revision."""
    assert succeed(record, record) is None


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_history_keeps_the_latest_answers_within_bounds(answers: list[int]) -> None:
    """The history has the newest answers first, at most five, within its size limit."""
    long = "x" * 1_900
    current = None
    for number in itertools.accumulate(answers):
        items = [{"description": f"{long}{at}"} for at in range(30)]
        new = Record(
            document="b/k",
            status="extracted",
            uploaded_at=stamp(1),
            etag="e",
            stored_at=stamp(number),
            answered_at=stamp(number),
            receipt=Receipt.model_validate({"total": str(number), "items": items}),
        )
        current = (succeed(current, new) or current) if current else new
    assert current is not None
    assert len(current.history) <= HISTORY_LENGTH
    assert len(json.dumps(current.history, default=str)) <= MOST_HISTORY_BYTES
    revisions = [entry["revision"] for entry in current.history]
    assert revisions == sorted(revisions, reverse=True)


def test_a_persons_corrections_stay_with_the_upload() -> None:
    """A newer answer to the same upload keeps its corrections; a new upload has none."""
    old = Record(
        document="b/k",
        status="extracted",
        uploaded_at=stamp(1),
        etag="e",
        stored_at=stamp(2),
        corrections={"total": "1"},
    )
    answered = old.model_copy(update={"corrections": {}, "answered_at": stamp(9), "stored_at": stamp(9)})
    later = answered.model_copy(update={"uploaded_at": stamp(5), "etag": "f"})
    kept, fresh = succeed(old, answered), succeed(old, later)
    assert kept is not None
    assert fresh is not None
    assert kept.corrections == {"total": "1"}
    assert fresh.corrections == {}


@given(records(), receipts)
def test_an_item_converts_back_to_its_record(record: Record, receipt: Receipt) -> None:
    """A record that is converted to DynamoDB's types and back is unchanged."""
    whole = record.model_copy(
        update={"receipt": receipt, "timings_ms": {"fetch": 3}, "field_confidence": {"total": 0.5}}
    )
    assert from_item(from_attributes(to_attributes(to_item(whole)))) == whole


@given(receipts)
def test_an_item_shows_the_receipts_fields(receipt: Receipt) -> None:
    """In an item, money is a DynamoDB number, missing fields are absent, and index keys are text."""
    record = Record(document="b/k", status="extracted", uploaded_at=stamp(0), stored_at=stamp(1), receipt=receipt)
    item = to_item(record)
    assert item.get("total") == receipt.total
    assert isinstance(item.get("total"), Decimal | None)
    assert None not in item.values()
    assert all(isinstance(item.get(key, "x"), str) and item.get(key, "x") for key in ("merchant_key", "purchase_month"))


@given(st.text(max_size=300))
def test_a_merchants_key_is_stable(name: str) -> None:
    """Case, accents, punctuation and blanks do not change the key, and the key of a key is itself."""
    key = merchant_key(name)
    if key:
        assert merchant_key(f"  {name} ") == key
        assert len(key) <= 200
    assert merchant_key("Café-Müller!") == merchant_key("CAFE  MULLER")


def test_the_largest_receipt_fits_an_item() -> None:
    """A row with the largest receipt and history stays below DynamoDB's 400 KB."""
    from worker.results.offload import MOST_BYTES

    items: list[dict[str, str]] = []
    while len(json.dumps(items)) < MOST_BYTES * 0.85:
        items.append({"description": "x" * 20, "amount": "1.00"})
    receipt = Receipt.model_validate({"items": items, "total": "1"})
    while len(receipt.model_dump_json()) > MOST_BYTES:
        receipt = receipt.model_copy(update={"items": receipt.items[:-1]})
    record = Record(
        document="b/" + "k" * 1_024,
        status="extracted",
        uploaded_at=stamp(0),
        stored_at=stamp(1),
        receipt=receipt,
        history=({"receipt": {"x": "y" * (MOST_HISTORY_BYTES - 50)}},),
        field_confidence={f"items.{at}.amount": 0.1234 for at in range(500)},
    )
    assert _size(to_attributes(to_item(record))) < 400 * 1024


def _size(attributes: Any) -> int:
    """Return an item's size as DynamoDB counts it: names, values, three bytes per list or map and one per element.

    Source: docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html.
    """

    def value_size(typed: dict[str, Any]) -> int:
        ((kind, value),) = typed.items()
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + value_size(part) for name, part in value.items())
        if kind == "L":
            return 3 + sum(1 + value_size(part) for part in value)
        return len(str(value).encode()) if kind == "S" else 21 if kind == "N" else 1

    return sum(len(name.encode()) + value_size(value) for name, value in attributes.items())


def test_checks_of_a_new_answer_use_the_kept_corrections() -> None:
    """A new answer to a corrected upload is checked with the corrections applied."""
    base: dict[str, Any] = {"document": "b/k", "status": "needs_review", "uploaded_at": stamp(0), "stored_at": stamp(9)}
    wrong = Record(**base, receipt=Receipt(total=Decimal(-5)), answered_at=stamp(1)).checked(today=dt.date(2026, 1, 1))
    assert "total_negative" in {check.name for check in wrong.checks}
    old = wrong.model_copy(update={"corrections": {"total": "5.00"}})
    new = succeed(old, wrong.model_copy(update={"answered_at": stamp(2)}))
    assert new is not None
    assert new.corrections == {"total": "5.00"}
    assert "total_negative" not in {check.name for check in new.checks}
