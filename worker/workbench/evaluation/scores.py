"""Scores: readings compared with the truth, as pure functions.

A null is not an error: `abstained` is counted separately from `wrong`. If the picture does not show a field, null is
right and any value is `wrong`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from enum import StrEnum
from statistics import fmean
from typing import Any, Final

from worker.receipts.receipt import Item, Reading, Receipt
from worker.workbench.evaluation.truth import FIELDS, MAIN, TrueItem, Truth, Value, clock_time

SIMILAR: Final = 0.8
"""Texts of at least this similarity (0 to 1, ignoring blanks and case) match fuzzily."""

CLOSE: Final = Decimal("0.05")
"""Amounts that differ by at most this match fuzzily, because cash totals are rounded by it."""

PATHS: Final = {"merchant": "merchant.name", "date": "purchase_date", "total": "total"}
"""The path of each main field in a reading's confidence."""

BINS: Final = 10


class Verdict(StrEnum):
    """The result for one field."""

    RIGHT = "right"
    CLOSE = "close"
    WRONG = "wrong"
    ABSTAINED = "abstained"


@dataclass(frozen=True, slots=True)
class FieldScore:
    """One field of one receipt: the verdict, both values as text, and the stated confidence."""

    verdict: Verdict
    truth: str | None
    read: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class ItemScore:
    """The items of one receipt: how many it has, how many were read, how many pair by description and amount."""

    truth: int
    read: int
    paired: int


@dataclass(frozen=True, slots=True)
class ReceiptScore:
    """One receipt: `status` is the status that a worker would record, `error` the reason for a missing reading."""

    file: str
    status: str
    confidence: float
    fields: dict[str, FieldScore]
    items: ItemScore | None
    ms: int
    error: str | None = None


def score(truth: Truth, reading: Reading | None) -> tuple[dict[str, FieldScore], ItemScore | None]:
    """Return the score of each known field, and of the items; without a reading, all are abstained."""
    receipt = reading.receipt if reading else Receipt()
    stated: Mapping[str, float] = reading.confidence if reading else {}
    read = values(receipt)
    fields = {
        name: FieldScore(
            verdict=judge(known, read[name]),
            truth=_text(known),
            read=_text(read[name]),
            confidence=stated.get(PATHS.get(name, name)),
        )
        for name, known in truth.fields.items()
    }
    items = ItemScore(len(truth.items), len(receipt.items), pair(truth.items, receipt.items)) if truth.items else None
    return fields, items


def values(receipt: Receipt) -> dict[str, Value]:
    """Return the receipt's value of every field that can be judged."""
    taxes = [tax.amount for tax in receipt.taxes if tax.amount is not None]
    return {
        "merchant": receipt.merchant.name,
        "date": receipt.purchase_date,
        "total": receipt.total,
        "currency": receipt.currency,
        "time": clock_time(receipt.purchase_time) if receipt.purchase_time else None,
        "subtotal": receipt.subtotal,
        "tax": sum(taxes, Decimal(0)) if taxes else None,
        "tip": receipt.tip,
    }


def judge(known: Value, read: Value) -> Verdict:
    """Return the verdict on one value."""
    if known is None:
        return Verdict.RIGHT if read is None else Verdict.WRONG
    if read is None:
        return Verdict.ABSTAINED
    if isinstance(known, str) and isinstance(read, str):
        alike = similarity(known, read)
        return Verdict.RIGHT if alike == 1 else Verdict.CLOSE if alike >= SIMILAR else Verdict.WRONG
    if known == read:
        return Verdict.RIGHT
    if isinstance(known, Decimal) and isinstance(read, Decimal) and abs(known - read) <= CLOSE:
        return Verdict.CLOSE
    return Verdict.WRONG


def similarity(one: str, other: str) -> float:
    """Return the similarity of two texts, 0 to 1, ignoring case and blanks."""
    first, second = ("".join(text.casefold().split()) for text in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def pair(known: Sequence[TrueItem], read: Sequence[Item]) -> int:
    """Return how many true items pair with a read item of equal amount and similar description, each used once."""
    left = list(read)
    paired = 0
    for item in known:
        found = next(
            (
                one
                for one in left
                if one.amount == item.amount and similarity(one.description or "", item.description) >= SIMILAR
            ),
            None,
        )
        if found:
            left.remove(found)
            paired += 1
    return paired


def summarise(scores: Sequence[ReceiptScore]) -> dict[str, Any]:
    """Return the summary of a run: shares by field, all main fields, items, decisions, calibration."""
    total = len(scores)
    with_items = [one.items for one in scores if one.items]
    true_items = sum(items.truth for items in with_items)
    extracted = [one for one in scores if one.status == "extracted"]
    return {
        "receipts": total,
        "failed": sum(one.error is not None for one in scores),
        "fields": {name: _field(scores, name) for name in FIELDS if any(name in one.fields for one in scores)},
        "all_main": _share(sum(_main_right(one) for one in scores), total),
        "items": {
            "truth": true_items,
            "paired": _share(sum(items.paired for items in with_items), true_items),
        },
        "decision": {
            "extracted": _share(len(extracted), total),
            "total_right_of_extracted": _share(sum(_right(one, "total") for one in extracted), len(extracted)),
            "all_main_right_of_extracted": _share(sum(_main_right(one) for one in extracted), len(extracted)),
        },
        "calibration": {name: calibration(scores, name) for name in MAIN},
        "median_ms": sorted(one.ms for one in scores)[total // 2] if total else 0,
    }


def _field(scores: Sequence[ReceiptScore], name: str) -> dict[str, Any]:
    verdicts = [one.fields[name].verdict for one in scores if name in one.fields]
    count = len(verdicts)
    return {
        "known": count,
        "exact": _share(verdicts.count(Verdict.RIGHT), count),
        "fuzzy": _share(verdicts.count(Verdict.RIGHT) + verdicts.count(Verdict.CLOSE), count),
        "abstained": _share(verdicts.count(Verdict.ABSTAINED), count),
        "wrong": _share(verdicts.count(Verdict.WRONG), count),
    }


def counts_as_right(name: str, verdict: Verdict) -> bool:
    """Return whether a verdict counts as right: merchants fuzzily, everything else exactly."""
    return verdict is Verdict.RIGHT or (name == "merchant" and verdict is Verdict.CLOSE)


def _right(one: ReceiptScore, name: str) -> bool:
    return name not in one.fields or counts_as_right(name, one.fields[name].verdict)


def _main_right(one: ReceiptScore) -> bool:
    return all(_right(one, name) for name in MAIN)


def calibration(scores: Sequence[ReceiptScore], name: str) -> dict[str, Any]:
    """Return the reliability table of a field: the share of right values by stated confidence.

    `error` is the expected calibration error: the mean distance between stated confidence and the share right.
    """
    stated = [
        (field.confidence, counts_as_right(name, field.verdict))
        for one in scores
        if (field := one.fields.get(name)) and field.confidence is not None and field.read is not None
    ]
    bins: list[dict[str, Any]] = []
    for number in range(BINS):
        here = [
            pair for pair in stated if number <= pair[0] * BINS < number + 1 or (number == BINS - 1 and pair[0] == 1)
        ]
        if here:
            bins.append(
                {
                    "from": number / BINS,
                    "to": (number + 1) / BINS,
                    "count": len(here),
                    "stated": round(fmean(confidence for confidence, _ in here), 3),
                    "right": round(fmean(right for _, right in here), 3),
                }
            )
    error = sum(one["count"] * abs(one["stated"] - one["right"]) for one in bins) / len(stated) if stated else 0.0
    return {"bins": bins, "error": round(error, 3)}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
