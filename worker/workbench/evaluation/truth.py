"""The truth: the known values of the receipts of an evaluation, one JSON object per line.

`file` names the picture. `merchant`, `date` (ISO) and `total` (text or number) are the main fields. A main field that
is null does not appear on the picture, and null is the right answer. `currency`, `time`, `subtotal`, `tax` (the sum of
all taxes), `tip` and `line_items` (`description`, `amount`) count if they are present and not null. Other names are
ignored.
"""

import datetime as dt
import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from worker.errors import SettingsError

MAIN: Final = ("merchant", "date", "total")
MINOR: Final = ("currency", "time", "subtotal", "tax", "tip")
FIELDS: Final = (*MAIN, *MINOR)

Value = str | Decimal | dt.date | None
_TIME: Final = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?\s*([ap])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TrueItem:
    """One item of the receipt."""

    description: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Truth:
    """The known values of one receipt: the judged fields, and the items that have description and amount."""

    file: str
    fields: dict[str, Value]
    items: tuple[TrueItem, ...]


def load(path: Path) -> list[Truth]:
    """Return the truths of a file. Raises `SettingsError` with the line number for an invalid line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    truths = [_truth(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not truths:
        raise SettingsError(f"{path} names no receipt. Write one JSON object per line.")
    return truths


def of_samples() -> list[Truth]:
    """Return the truth of the project's own sample receipts, whose pictures are in `samples.FILES`."""
    from worker.workbench.local import samples

    return [_truth(samples.FILES, at, json.dumps(_row(*one))) for at, one in enumerate(samples.truth().items(), 1)]


def _row(file: str, receipt: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a file of truths for `receipt`, a `Receipt` as JSON values."""
    taxes = [Decimal(tax["amount"]) for tax in receipt["taxes"] if tax["amount"] is not None]
    return {
        "file": file,
        "merchant": receipt["merchant"]["name"],
        "date": receipt["purchase_date"],
        "time": receipt["purchase_time"],
        "tax": str(sum(taxes)) if taxes else None,
        "line_items": receipt["items"],
        **{name: receipt[name] for name in ("total", "currency", "subtotal", "tip")},
    }


def _truth(path: Path, number: int, line: str) -> Truth:
    try:
        row = json.loads(line)
        file = row["file"]
        fields = {
            name: _value(name, row[name]) for name in FIELDS if name in row and (name in MAIN or row[name] is not None)
        }
        items = tuple(
            TrueItem(item["description"], Decimal(str(item["amount"])))
            for item in row.get("line_items") or ()
            if item.get("description") and item.get("amount") is not None
        )
    except (ValueError, KeyError, TypeError, InvalidOperation, AttributeError) as error:
        raise SettingsError(f"{path}, line {number}: {type(error).__name__}: {error}") from error
    if not isinstance(file, str) or "/" in file or file in {"", ".", ".."}:
        raise SettingsError(f"{path}, line {number}: `file` must be a file name without a folder.")
    return Truth(file, {name: value for name, value in fields.items() if name in MAIN or value is not None}, items)


def _value(name: str, value: Any) -> Value:
    if value is None:
        return None
    if name == "date":
        return dt.date.fromisoformat(value)
    if name == "time":
        return clock_time(value)
    if name in {"total", "subtotal", "tax", "tip"}:
        return Decimal(str(value))
    return str(value)


def clock_time(text: str) -> str | None:
    """Return a time of day as HH:MM, 24 hours, or None if `text` has no valid time."""
    match = _TIME.search(text)
    if not match:
        return None
    hour, half = int(match[1]), (match[3] or "").lower()
    hour += 12 if half == "p" and hour < 12 else -12 if half == "a" and hour == 12 else 0
    return f"{hour:02d}:{match[2]}" if hour < 24 else None
