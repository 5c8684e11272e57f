"""The results of evaluations as JSON, and the differences between two of them."""

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
    """The result of an evaluation: the model, the review threshold, and the scores of each receipt."""

    model: str
    threshold: float
    receipts: tuple[ReceiptScore, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the run and its summary as JSON values."""
        return {
            "model": self.model,
            "threshold": self.threshold,
            "summary": summarise(self.receipts),
            "receipts": [asdict(one) for one in self.receipts],
        }


def load(path: Path) -> Run:
    """Return the run that `--json` wrote to `path`. Raises `SettingsError` for any other file."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return Run(found["model"], found["threshold"], tuple(_receipt(one) for one in found["receipts"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} was not written by `receipts evaluate --json`: {error}") from error


def _receipt(one: dict[str, Any]) -> ReceiptScore:
    fields = {
        name: FieldScore(**field | {"verdict": Verdict(field["verdict"])}) for name, field in one["fields"].items()
    }
    items = ItemScore(**one["items"]) if one["items"] else None
    return ReceiptScore(**one | {"fields": fields, "items": items})


@dataclass(frozen=True, slots=True)
class Change:
    """A field of a receipt that only one of two runs reads right."""

    file: str
    field: str
    better: bool
    truth: str | None
    before: str | None
    after: str | None


def compare(before: Sequence[ReceiptScore], after: Sequence[ReceiptScore]) -> list[Change]:
    """Return every field that is right in only one of the runs, for the receipts that both contain."""
    known = {one.file: one for one in before}
    changes = []
    for one in after:
        for name in FIELDS:
            old, new = known[one.file].fields.get(name) if one.file in known else None, one.fields.get(name)
            if old and new and counts_as_right(name, old.verdict) != counts_as_right(name, new.verdict):
                better = counts_as_right(name, new.verdict)
                changes.append(Change(one.file, name, better, new.truth, old.read, new.read))
    return changes
