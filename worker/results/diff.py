"""What a new model says differently: field by field, over one record or many."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from worker.receipts.corrections import FIELDS, corrected, flat
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record

Kind = Literal["found", "lost", "changed"]
"""A field that was missing and is there now, that was there and is missing now, or that has another value."""


@dataclass(frozen=True)
class Change:
    """One field that a model says differently from the one before."""

    document: str
    field: str
    before: Any
    after: Any
    person: Any = None
    """What a person corrected the field to, if anybody did."""
    corrected: bool = False

    @property
    def kind(self) -> Kind:
        """Whether the field was found, lost or changed."""
        if _missing(self.before):
            return "found"
        return "lost" if _missing(self.after) else "changed"

    @property
    def right(self) -> bool | None:
        """Whether the new value is what a person said; None where nobody said anything."""
        return _same(self.after, self.person) if self.corrected else None

    def as_json(self) -> dict[str, Any]:
        """Return the change for programs."""
        return {
            "document": self.document,
            "field": self.field,
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
            "right": self.right,
        }


@dataclass
class Difference:
    """How many fields of how many records changed."""

    records: int = 0
    compared: int = 0
    """Records that an earlier model had read too."""
    changed: int = 0
    """Records with at least one change."""
    fields: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in FIELDS})

    def add(self, record: Record) -> tuple[Change, ...]:
        """Count `record` and return what changed in it."""
        self.records += 1
        if not record.history or record.receipt is None:
            return ()
        self.compared += 1
        found = tuple(changes(record))
        self.changed += bool(found)
        for change in found:
            self.fields[change.field][change.kind] += 1
            if change.right is not None:
                self.fields[change.field]["right" if change.right else "wrong"] += 1
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the counts for programs, the fields that changed alone."""
        fields = {name: dict(counts) for name, counts in self.fields.items() if counts}
        return {"records": self.records, "compared": self.compared, "changed": self.changed, "fields": fields}


def changes(record: Record) -> Iterator[Change]:
    """Give the fields that `record` says differently from the answer before it."""
    if record.receipt is None or not record.history:
        return
    before = dict(flat(Receipt.model_validate(record.history[0]["receipt"])))
    people = dict(flat(corrected(record.receipt, record.corrections) or record.receipt))
    for name, after in flat(record.receipt):
        if not _same(before[name], after):
            by_hand = name in record.corrections
            yield Change(record.document, name, before[name], after, people[name] if by_hand else None, by_hand)


def _missing(value: Any) -> bool:
    return value is None or value == []


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values of JSON say the same; amounts are compared as amounts: "1.5" is "1.50"."""
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, str) and isinstance(other, str) and "." in one + other:  # 0012 and 12 are two numbers
        try:
            return Decimal(one) == Decimal(other)
        except InvalidOperation:
            return False
    return False


def summarize(records: Iterable[Record]) -> Difference:
    """Count the changes of `records`."""
    difference = Difference()
    for record in records:
        difference.add(record)
    return difference
