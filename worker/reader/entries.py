"""Entries: the receipt's amounts with their labels, and the blocks that they are in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from worker.reader.amounts import Amount, Role
from worker.reader.labels import NO_LABEL, Kind, Label, label, vocabulary
from worker.reader.layout import Row
from worker.reader.words import fold

CENT: Final = Decimal("0.01")
_SHARE: Final = re.compile(r"(?<![\d.,])(1\d|2[05]|22|30)(?:[.,]0+)?\s?%")
_TIP: Final = re.compile(r"\b(tips?|gratuity|propina|pourboire|trinkgeld)\b")
_OFFER: Final = re.compile(
    r"\b(suggest\w*|recommend\w*|propina sugerida|for your convenience|(gratuity|tip|service) (is )?not included)\b"
    r"|\b(tip|gratuity) (guide|calc|table)"
)
_BARE_AMOUNT: Final = re.compile(r"^[^A-Za-z]*\d[.,]\d{2}\W*$")
_TIP_GAP: Final = 3
"""Maximum number of rows from one suggested tip to the next."""
_SUMS: Final = frozenset({Kind.TOTAL, Kind.SUBTOTAL, Kind.TAX, Kind.CASH, Kind.CARD, Kind.CHANGE})


@dataclass(frozen=True, slots=True)
class Entry:
    """An amount with its label.

    `own`: the label is directly before the amount, not at the start of the row or above. `under_total`: the row above
    says "total" but has no amount. `summary`: the amount is in the table of taxes.
    """

    amount: Amount
    label: Label
    own: bool
    summary: bool = False
    under_total: bool = False

    @property
    def kind(self) -> Kind:
        """The label's kind."""
        return self.label.kind

    @property
    def value(self) -> Decimal:
        """The amount's value."""
        return self.amount.value


def entries(rows: Sequence[Row], amounts: Sequence[Amount]) -> list[Entry]:
    """Return every number that may be money with its label, in reading order."""
    by_row: dict[int, list[Amount]] = {}
    for amount in amounts:
        by_row.setdefault(amount.row, []).append(amount)
    found: list[Entry] = []
    pending: tuple[int, Label] | None = None
    summaries = summary_rows(rows)
    offered = _suggested_tip_rows(rows)
    for index, row in enumerate(rows):
        if index in offered:
            pending = None
            continue
        here = by_row.get(index, [])
        money = [amount for amount in _with_whole_labels(here) if amount.role in {Role.MONEY, Role.PLAIN}]
        if not money:
            said = label(row.text)
            pending = (index, said) if said.kind is not Kind.NONE and not here else None
            if pending and _is_under_its_amount(rows, index, said):
                found = [
                    replace(entry, label=said) if entry.amount.row == index - 1 and not entry.own else entry
                    for entry in found
                ]
                pending = None
            continue
        found += _row_entries(money, pending, in_summary=index in summaries)
        pending = None
    return found + _guessed(found)


def _is_under_its_amount(rows: Sequence[Row], index: int, said: Label) -> bool:
    """Return whether the amount of a total's label is printed slightly higher and so became the row before it."""
    if said.kind is not Kind.TOTAL or said.strength < 2 or not 0 < index < len(rows) - 1:
        return False
    above, below = rows[index - 1].text, rows[index + 1].text
    return _BARE_AMOUNT.search(above) is not None and label(below).kind is not Kind.NONE


def _with_whole_labels(amounts: Sequence[Amount]) -> list[Amount]:
    """Return the amounts with labels that continue across a count: "Total 3 items 4.50"."""
    said, whole = "", []
    for amount in amounts:
        said = f"{said} {amount.before}".strip()
        if (amount.places == 2 or amount.mark or amount.role is Role.MONEY) and amount.role is not Role.PERCENT:
            whole.append(replace(amount, before=said))
            said = ""
        else:
            whole.append(amount)
            said = f"{said} {amount.value.normalize():f}" if any(map(str.isalpha, said)) else ""
    return whole


def _guessed(found: Sequence[Entry]) -> list[Entry]:
    """Return extra entries that read "Total 8817" as 88.17, if the receipt's other amounts have two decimals."""
    if not any(entry.amount.places == 2 for entry in found):
        return []
    return [
        replace(entry, amount=replace(entry.amount, value=entry.value / 100, places=2, guessed=True))
        for entry in found
        if entry.own and entry.kind in _SUMS and entry.amount.places == 0 and entry.value >= 100
    ]


def _row_entries(money: Sequence[Amount], pending: tuple[int, Label] | None, *, in_summary: bool) -> list[Entry]:
    found: list[Entry] = []
    head = NO_LABEL
    worded = any(mark.isalpha() for amount in money for mark in amount.before)
    for amount in money:
        said = label(amount.before) if any(mark.isalpha() for mark in amount.before) else NO_LABEL
        own = said.kind is not Kind.NONE
        if own:
            head = said
        elif head.kind is not Kind.NONE and not any(mark.isalpha() for mark in amount.before):
            said = head
        elif not worded and pending:
            said = pending[1]
        if not own and said.kind is Kind.NONE and amount is money[-1]:
            after = label(amount.after) if amount.after else NO_LABEL
            if after.kind is Kind.TOTAL and after.strength >= 2:
                said = replace(after, strength=after.strength - 0.5)
        under_total = pending is not None and pending[1].kind is Kind.TOTAL and amount is money[-1]
        found.append(Entry(amount, said, own, in_summary, under_total))
    return found


def _suggested_tip_rows(rows: Sequence[Row]) -> range:
    """Return the rows that suggest tips of several sizes, some with the resulting total."""
    texts = [fold(row.text) for row in rows]
    offered: list[int] = []
    for index, row in enumerate(rows):
        near = bool(offered) and index - offered[-1] <= _TIP_GAP
        if _OFFER.search(texts[index]) and not near:
            offered = [index]
        elif _SHARE.search(row.text) and (near or _TIP.search(texts[index])):
            offered = [*offered, index] if near else [index]
        elif offered and not near and len(_shares(rows, offered)) >= 2:
            break
    if len(_shares(rows, offered)) < 2:
        return range(0)
    step = offered[-1] - offered[-2]
    return range(offered[0], offered[-1] + step)


def _shares(rows: Sequence[Row], offered: Sequence[int]) -> set[str]:
    return {share[1] for index in offered if (share := _SHARE.search(rows[index].text))}


def summary_rows(rows: Sequence[Row]) -> frozenset[int]:
    """Return the rows of the table of taxes: its header has two column names and no amount."""
    inside: set[int] = set()
    for index, row in enumerate(rows):
        heads = {last for name, _, _, last in vocabulary().find(row.text) if name in {"summary", "tax", "excl"}}
        plain = not any(mark.isdigit() for piece in row.pieces for mark in piece.text.replace("%", ""))
        if len(heads) >= 2 and plain:
            inside.update(range(index, min(index + 7, len(rows))))
    return frozenset(inside)
