"""Totals: finds the amount to pay among the amounts of a receipt.

A label names the total, and arithmetic confirms it: subtotal plus taxes, cash less change, the card's amount, the sum
of the items, the gross column of a tax table. Each gives a value points. The value with most points is the total, and
its lead determines the confidence.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import combinations
from typing import Final

from worker.reader.amounts import Role
from worker.reader.entries import CENT, Entry
from worker.reader.labels import Kind

_CLEAR: Final = 2.0
"""Points from which a label clearly names the total."""

_BY_SUMS: Final = {1: 0.95, 2: 0.98}
"""Confidence in a total that one sum confirms, or several."""

_PAID: Final = frozenset({"cash less change", "card", "paid", "rounded"})
_CASH_LESS_CHANGE: Final = 2.0
_NOT_PAID: Final = 0.7
"""Factor on the confidence if cash less change is another amount."""
_ONLY_SUBTOTAL: Final = 0.8
"""Factor on the confidence if only a "subtotal" names the value: the total below it may not have been read."""

_LEAST: Final = 0.55
"""Least points of a total. A value with fewer is just a number among others."""


@dataclass(slots=True)
class Candidate:
    """A value that may be the total, with the evidence for it."""

    value: Decimal
    label: float = 0.0
    subtotal: bool = False
    total: bool = False
    support: dict[str, float] = field(default_factory=dict)
    score: float = 0.0

    @property
    def points(self) -> float:
        """The points for the value, from labels and arithmetic."""
        return self.label + sum(self.support.values())


@dataclass(frozen=True, slots=True)
class Total:
    """The total (None if there is none), the confidence in it (0 to 1), and all candidates, the best first."""

    value: Decimal | None
    confidence: float
    candidates: tuple[Candidate, ...]


def find(entries: Sequence[Entry], *, cents: bool) -> Total:
    """Return the total among the entries. `cents`: money has two decimals on this receipt."""
    usable = [entry for entry in entries if _may_be_money(entry, cents=cents)]
    if _is_refund(usable):
        refund = find([_negated(entry) for entry in usable], cents=cents)
        return replace(refund, value=None if refund.value is None else -refund.value)
    candidates: dict[Decimal, Candidate] = {}
    for entry in usable:
        if entry.value > 0:
            candidate = candidates.setdefault(entry.value, Candidate(entry.value))
            candidate.label = max(candidate.label, _label_points(entry, usable))
            candidate.subtotal |= entry.kind is Kind.SUBTOTAL and entry.own
            candidate.total |= entry.kind is Kind.TOTAL and entry.own and not entry.summary
            candidate.score = max(candidate.score, entry.amount.score)
    for value, reason, points in _support(usable):
        near = [
            candidate for candidate in candidates.values() if abs(candidate.value - value) <= (CENT if cents else 1) * 2
        ]
        for candidate in near:
            exact = candidate.value == value
            if exact or reason not in {"rounded", "card", "paid", "repeated"}:
                candidate.support[reason] = max(candidate.support.get(reason, 0.0), points if exact else points * 0.6)
    _demote_subtotals(candidates, usable)
    ranked = sorted(candidates.values(), key=lambda candidate: (candidate.points, candidate.value), reverse=True)
    ranked = [candidate for candidate in ranked if candidate.points >= _LEAST]
    if not ranked:
        return Total(None, 0.0, tuple(ranked))
    return Total(ranked[0].value, _confidence(ranked), tuple(ranked))


def _is_refund(entries: Sequence[Entry]) -> bool:
    """Return whether the receipt is a refund: it names a negative total, and no amount is above zero."""
    return any(entry.kind is Kind.TOTAL and entry.value < 0 for entry in entries) and not any(
        entry.value > 0 for entry in entries
    )


def _negated(entry: Entry) -> Entry:
    return replace(entry, amount=replace(entry.amount, value=-entry.value))


def _demote_subtotals(candidates: dict[Decimal, Candidate], entries: Sequence[Entry]) -> None:
    """If a later amount is the payable total, do not count the item sum as evidence for the earlier one."""
    named = any(candidate.total for candidate in candidates.values())
    for candidate in candidates.values():
        if named and candidate.subtotal and not candidate.total:
            candidate.support.pop("items", None)
    for before, after in _reduced(entries).items():
        candidates[after].support["total less discount"] = 1.4
        candidates[before].support.pop("items", None)
    for net, gross in _taxed(entries).items():
        candidates[gross].support["total and taxes"] = 1.4
        candidates[gross].label = max(candidates[gross].label, candidates[net].label)
        candidates[net].label = min(candidates[net].label, _BY_KIND[Kind.SUBTOTAL])
        candidates[net].support.pop("items", None)
    for before, after in _tipped(entries).items():
        candidates[after].support |= candidates[before].support | {"total and tip": 1.4}
        candidates[after].label = max(candidates[after].label, candidates[before].label)
        candidates[before].label, candidates[before].support = 0.0, {}


def _may_be_money(entry: Entry, *, cents: bool) -> bool:
    amount = entry.amount
    if cents and amount.places != 2 and not amount.mark:
        return amount.places == 0 and amount.guessed
    return amount.role is Role.MONEY


_BY_KIND: Final = {
    Kind.TOTAL: 0.5,
    Kind.SUBTOTAL: 0.9,
    Kind.CARD: 0.9,
    Kind.PAID: 0.9,
    Kind.CASH: 0.6,
    Kind.NONE: 0.1,
}


def _label_points(entry: Entry, entries: Sequence[Entry]) -> float:
    if entry.kind not in _BY_KIND:
        return -1.0
    points = _BY_KIND[entry.kind] + (entry.label.strength if entry.kind is Kind.TOTAL else 0.0)
    if not entry.own and entry.kind is Kind.TOTAL:
        points -= 0.3
    if entry.under_total and entry.kind in {Kind.CASH, Kind.CARD, Kind.PAID, Kind.NONE}:
        points += 0.8
    if entry.summary and entry.kind in {Kind.TOTAL, Kind.SUBTOTAL}:
        points -= 1.6
    if entry.amount.role is Role.UNIT_PRICE:
        points -= 1.0
    if entry.amount.guessed:
        points -= 0.8
    paid = [other.amount.row for other in entries if other.kind is Kind.CHANGE]
    if entry.kind is Kind.TOTAL and paid and entry.amount.row > max(paid):
        points -= 0.8
    return points


def _support(entries: Sequence[Entry]) -> list[tuple[Decimal, str, float]]:
    found: list[tuple[Decimal, str, float]] = []
    by_kind: dict[Kind, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_kind[entry.kind].append(entry)
    for change in (*by_kind[Kind.CHANGE], *_balances(by_kind)):
        found += [
            (abs(cash.value) - abs(change.value), "cash less change", _CASH_LESS_CHANGE)
            for cash in (*by_kind[Kind.CASH], *by_kind[Kind.PAID], *by_kind[Kind.CARD])
            if cash.value and abs(cash.value) > abs(change.value) and cash.amount.row <= change.amount.row + 2
        ]
    found += [(abs(card.value), "card", 1.0) for card in by_kind[Kind.CARD] if not card.summary]
    found += [(abs(paid.value), "paid", 0.8) for paid in by_kind[Kind.PAID]]
    found += _sums(by_kind)
    found += _rounded(by_kind)
    found += _gross(entries)
    counts: dict[Decimal, int] = defaultdict(int)
    for entry in entries:
        counts[abs(entry.value)] += 1
    found += [(value, "repeated", min(0.9, 0.3 * (count - 1))) for value, count in counts.items() if count > 1]
    found += _items(entries)
    return found


def _balances(by_kind: dict[Kind, list[Entry]]) -> list[Entry]:
    """Return the balances below the cash: they are the change, if no label says change."""
    if by_kind[Kind.CHANGE] or not by_kind[Kind.CASH]:
        return []
    cash = min(entry.amount.row for entry in by_kind[Kind.CASH])
    return [
        entry for entry in by_kind[Kind.TOTAL] if entry.own and entry.label.strength < 1 and entry.amount.row > cash
    ]


def _sums(by_kind: dict[Kind, list[Entry]]) -> list[tuple[Decimal, str, float]]:
    """Return the sums of a subtotal and some of taxes, charges, tips, discounts and rounding."""
    extras = [
        (abs(entry.value) if entry.kind is not Kind.DISCOUNT else -abs(entry.value))
        if entry.kind is not Kind.ROUNDING
        else entry.value
        for kind in (Kind.TAX, Kind.SERVICE, Kind.TIP, Kind.DISCOUNT, Kind.ROUNDING)
        for entry in by_kind[kind]
        if entry.value and not entry.summary
    ][:6]
    found = []
    for sub in by_kind[Kind.SUBTOTAL][:3]:
        for size in range(1, min(4, len(extras)) + 1):
            for some in combinations(extras, size):
                extra = sum(some, Decimal(0))
                if abs(extra) > 3 * CENT:
                    found.append((sub.value + extra, "subtotal and taxes", 1.6 if size > 1 else 1.4))
    return found


def _reduced(entries: Sequence[Entry]) -> dict[Decimal, Decimal]:
    """Return the totals above a discount, each mapped to the total below that results from the discount."""
    totals = [entry for entry in entries if entry.kind is Kind.TOTAL and entry.own and not entry.summary]
    return {
        before.value: after.value
        for discount in entries
        if discount.kind is Kind.DISCOUNT and discount.own and discount.value
        for before in totals
        for after in totals
        if before.amount.row < discount.amount.row < after.amount.row
        and before.value - abs(discount.value) == after.value > 0
    }


def _taxed(entries: Sequence[Entry]) -> dict[Decimal, Decimal]:
    """Return the totals without taxes and charges, each mapped to the sum that includes them.

    The net total is usually above the taxes, but it can also be printed below them.
    """
    sums = [entry for entry in entries if entry.kind in {Kind.TOTAL, Kind.SUBTOTAL} and entry.own and not entry.summary]
    found = {}
    for above, below in combinations(sums, 2):
        added = sum(
            (
                entry.value
                for entry in entries
                if entry.kind in {Kind.TAX, Kind.SERVICE, Kind.ROUNDING}
                and entry.own
                and above.amount.row < entry.amount.row < below.amount.row
            ),
            Decimal(0),
        )
        for net, gross in ((above, below), (below, above)):
            if net.kind is Kind.TOTAL and added > 0 and net.value + added == gross.value:
                found[net.value] = gross.value
    return found


def _tipped(entries: Sequence[Entry]) -> dict[Decimal, Decimal]:
    """Return the totals before a tip, each mapped to the amount below that includes the tip."""
    sums = [entry for entry in entries if entry.kind in {Kind.TOTAL, Kind.PAID, Kind.CARD} and not entry.summary]
    return {
        before.value: after.value
        for tip in entries
        if tip.kind is Kind.TIP and tip.own and tip.value > 0
        for before in sums
        for after in sums
        if before.kind is Kind.TOTAL
        and before.amount.row < tip.amount.row < after.amount.row
        and before.value + tip.value == after.value
    }


def _rounded(by_kind: dict[Kind, list[Entry]]) -> list[tuple[Decimal, str, float]]:
    return [
        (entry.value + sign * abs(rounding.value), "rounded", 1.3)
        for rounding in by_kind[Kind.ROUNDING]
        if rounding.value
        for entry in (*by_kind[Kind.TOTAL], *by_kind[Kind.SUBTOTAL])
        if entry.amount.row < rounding.amount.row
        for sign in (1, -1)
    ]


def _gross(entries: Sequence[Entry]) -> list[tuple[Decimal, str, float]]:
    """Return the gross amounts of rows with net and tax, as in tax tables, and their sum."""
    rows: dict[int, list[Decimal]] = defaultdict(list)
    for entry in entries:
        rows[entry.amount.row].append(abs(entry.value))
    found = []
    gross: list[Decimal] = []
    for values in rows.values():
        if len(values) < 2:
            continue
        for one, other in combinations(values, 2):
            if min(one, other) and min(one, other) < max(one, other) * Decimal("0.35"):
                if one + other in values:
                    gross.append(one + other)
                found.append((one + other, "net and tax", 0.9))
    if len(gross) > 1:
        found.append((sum(gross, Decimal(0)), "gross of all rates", 1.2))
    return found


def _items(entries: Sequence[Entry]) -> list[tuple[Decimal, str, float]]:
    """Return the sum of the unlabelled amounts above the sums, the last one of each row."""
    found = []
    running, seen = Decimal(0), 0
    last_row = -1
    rows: dict[int, Entry] = {}
    for entry in entries:
        if entry.kind in {Kind.NONE, Kind.DISCOUNT} and entry.amount.role is Role.MONEY:
            rows[entry.amount.row] = entry
        elif entry.kind in {Kind.TOTAL, Kind.SUBTOTAL}:
            break
    for row, entry in rows.items():
        running += entry.value if entry.kind is Kind.NONE else -abs(entry.value)
        seen += 1
        last_row = row
    if seen >= 2 and last_row >= 0:
        last = rows[last_row].value
        summed_up = (
            seen > 2 and rows[last_row].kind is Kind.NONE and running == 2 * last
        )  # the label of the sum was not read
        found.append((last if summed_up else running, "items", 1.0))
    return found


def _confidence(ranked: Sequence[Candidate]) -> float:
    """Return the confidence in the first candidate.

    Arithmetic is the strongest evidence: a misread digit rarely adds up. Without it, the label must be clear and the
    OCR score high: text with a medium score is wrong more often than not.
    """
    best = ranked[0]
    sums = sum(reason != "repeated" for reason in best.support)
    if sums:
        sure = _BY_SUMS[min(sums, 2)] - (0.0 if best.label >= _CLEAR else 0.1)
        sure *= 0.5 + 0.5 * best.score
    else:
        sure = (0.86 if best.label >= _CLEAR else 0.62) + (0.06 if best.support else 0.0)
        sure *= max(0.3, 1 - 6 * max(0.0, 0.97 - best.score))
    if best.subtotal and not best.total and not best.support.keys() & _PAID:
        sure *= _ONLY_SUBTOTAL
    paid = [candidate for candidate in ranked if candidate.support.get("cash less change") == _CASH_LESS_CHANGE]
    if paid and best not in paid:
        sure *= _NOT_PAID
    lead = best.points - (ranked[1].points if len(ranked) > 1 else 0.0)
    return sure * (0.75 if lead < 0.4 else 0.92 if lead < 0.9 else 1.0)
