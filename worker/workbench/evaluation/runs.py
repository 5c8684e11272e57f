"""Runs: what an evaluation found, as JSON, and how two of them differ."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.errors import SettingsError
from worker.workbench.evaluation.scores import FieldScore, ItemScore, ReceiptScore, Verdict, counts_as_right, summarise
from worker.workbench.evaluation.truth import FIELDS


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation: which model, at which threshold, and each receipt's scores."""

    model: str
    threshold: float
    receipts: tuple[ReceiptScore, ...]

    def as_json(self) -> dict[str, Any]:
        """Give the run as JSON can hold it, with its summary."""
        return {
            "model": self.model,
            "threshold": self.threshold,
            "summary": summarise(self.receipts),
            "receipts": [asdict(one) for one in self.receipts],
        }


def load(path: Path) -> Run:
    """Load a run that `--json` wrote. Raises `SettingsError` for what is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return Run(found["model"], found["threshold"], tuple(_receipt(one) for one in found["receipts"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} is no run that `receipts evaluate --json` wrote: {error}") from error


def _receipt(one: dict[str, Any]) -> ReceiptScore:
    fields = {
        name: FieldScore(**field | {"verdict": Verdict(field["verdict"])}) for name, field in one["fields"].items()
    }
    items = ItemScore(**one["items"]) if one["items"] else None
    return ReceiptScore(**one | {"fields": fields, "items": items})


@dataclass(frozen=True, slots=True)
class Change:
    """A field of a receipt that one run reads right and the other does not."""

    file: str
    field: str
    better: bool
    truth: str | None
    before: str | None
    after: str | None


def compare(before: Sequence[ReceiptScore], after: Sequence[ReceiptScore]) -> list[Change]:
    """Give every field that is right in one run only, for the receipts that both have."""
    known = {one.file: one for one in before}
    changes = []
    for one in after:
        for name in FIELDS:
            old, new = known[one.file].fields.get(name) if one.file in known else None, one.fields.get(name)
            if old and new and counts_as_right(name, old.verdict) != counts_as_right(name, new.verdict):
                better = counts_as_right(name, new.verdict)
                changes.append(Change(one.file, name, better, new.truth, old.read, new.read))
    return changes
