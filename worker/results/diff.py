"""Differences between the answers of two models, field by field, over one record or many."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from worker.receipts.corrections import FIELDS, corrected, flat
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record

Kind = Literal["found", "lost", "changed"]
"""Kind of a change: the field appeared, disappeared, or has another value."""


@dataclass(frozen=True)
class Change:
    """One field whose value differs between the current model and the previous one."""

    document: str
    field: str
    before: Any
    after: Any
    person: Any = None
    """Value to which a person corrected the field, if `corrected`."""
    corrected: bool = False

    @property
    def kind(self) -> Kind:
        """Whether the field was found, lost or changed."""
        if _missing(self.before):
            return "found"
        return "lost" if _missing(self.after) else "changed"

    @property
    def right(self) -> bool | None:
        """Whether the new value equals a person's correction. None without a correction."""
        return _same(self.after, self.person) if self.corrected else None

    def as_json(self) -> dict[str, Any]:
        """Return the change as JSON types."""
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
    """Counts of the fields and records that changed."""

    records: int = 0
    compared: int = 0
    """Records that an earlier model has read too."""
    changed: int = 0
    """Records with at least one change."""
    fields: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in FIELDS})

    def add(self, record: Record) -> tuple[Change, ...]:
        """Count `record` and return its changes."""
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
        """Return the counts as JSON types, without the fields that did not change."""
        fields = {name: dict(counts) for name, counts in self.fields.items() if counts}
        return {"records": self.records, "compared": self.compared, "changed": self.changed, "fields": fields}


def changes(record: Record) -> Iterator[Change]:
    """Yield the fields in which the answer of `record` differs from the previous answer."""
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
    """Return whether two JSON values mean the same. Amounts are compared as numbers: "1.5" equals "1.50"."""
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    # Without a point they may be receipt numbers, and 0012 and 12 are different numbers.
    if isinstance(one, str) and isinstance(other, str) and "." in one + other:
        try:
            return Decimal(one) == Decimal(other)
        except InvalidOperation:
            return False
    return False
