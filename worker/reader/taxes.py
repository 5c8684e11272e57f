"""Taxes with rate, net and amount, from single lines and from the table of taxes."""

import re
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Final

from worker.reader.amounts import Amount, Role, is_price
from worker.reader.entries import CENT, Entry
from worker.reader.labels import Kind, vocabulary
from worker.receipts.receipt import Tax

_HIGHEST_RATE: Final = Decimal(35)
_NAMES: Final = (
    re.compile(r"\b(MwSt|USt|GST|VAT|TVA|IVA|BTW|SST|HST|moms|MVA|ALV|PTU|DPH|ÁFA|KDV|PB1|PPN)\b", re.IGNORECASE),
    re.compile(r"\b(Steuer|tax)\b(?!\W*(nr|no|nummer|number|id|invoice)\b)", re.IGNORECASE),
)
"""Names of taxes, the most specific ones first."""
_JOINING: Final = re.compile(
    r"(?<![^\W\d_])\d+([.,]\d+)?\s*%?|[%@(=:*|]|"
    r"\b(on|auf|sur|de|rm|inkl?|incl|includes?|of|dont|di cui|heraf|herav|varav|darin)\b\.?|"
    r"\b(netto|brutto|betrag|amount|amt|ht|base|aus|enthält|enth)\b\.?",
    re.IGNORECASE,
)


def find(
    texts: Sequence[str],
    entries: Sequence[Entry],
    amounts: Sequence[Amount],
    total: Decimal | None,
    *,
    cents: bool,
) -> tuple[Tax, ...]:
    """Return the taxes from labelled lines, or from the rows of a table whose arithmetic is right.

    `cents`: the receipt's money has two decimals.
    """
    rates = {
        amount.row: amount.value for amount in amounts if amount.role is Role.PERCENT and amount.value <= _HIGHEST_RATE
    }
    known = next((match[0] for names in _NAMES for text in texts if (match := names.search(text))), None)
    table = [_named(tax, known) for tax in _table(entries, rates, total, cents=cents)]
    lines = _lines(entries, rates, total, cents=cents)
    if table and (not lines or _sum(table) == _sum(lines) or all(tax.rate is None for tax in lines)):
        return tuple(table)
    return lines or tuple(table)


def _named(tax: Tax, known: str | None) -> Tax:
    """Return the tax with its name before the letter that a table uses for it."""
    if known and (tax.description is None or len(tax.description) <= 2):
        return tax.model_copy(update={"description": f"{known} {tax.description or ''}".strip()})
    return tax


def _sum(taxes: Sequence[Tax]) -> Decimal:
    return sum((tax.amount for tax in taxes if tax.amount is not None), Decimal(0))


def _lines(
    entries: Sequence[Entry], rates: dict[int, Decimal], total: Decimal | None, *, cents: bool
) -> tuple[Tax, ...]:
    """Return the taxes of rows such as "GST 6% 0.80" or "PST 7% on 28.00 1.96"."""
    rows: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if is_price(entry.amount, cents=cents) and entry.value > 0 and not entry.summary:
            rows[entry.amount.row].append(entry)
    subtotal = next((entry for entry in entries if entry.kind is Kind.SUBTOTAL and entry.own), None)
    taxes: list[Tax] = []
    for row, here in rows.items():
        first = next((entry for entry in here if entry.kind is Kind.TAX or _is_share(entry, rates, subtotal)), None)
        if first is None or (total is not None and here[-1].value >= total):
            continue
        both = _by_rate([entry.value for entry in here], rates[row]) if row in rates else None
        within = _within([entry.value for entry in here], rates[row]) if row in rates and not both else None
        net, amount = both or (None, within or first.value)
        tax = Tax(description=_name(first.amount.before), rate=rates.get(row), net=net, amount=amount)
        if tax not in taxes:  # an equal one is printed twice
            taxes.append(tax)
    if len(taxes) > 1 and taxes[-1].amount == _sum(taxes[:-1]) and (len(taxes) > 2 or _is_sum(taxes[-1])):
        taxes.pop()  # it is the sum of the others
    return tuple(taxes)


def _is_sum(tax: Tax) -> bool:
    return any(name == "total" for name, *_ in vocabulary().find(tax.description or ""))


def _is_share(entry: Entry, rates: dict[int, Decimal], subtotal: Entry | None) -> bool:
    """Return whether an unlabelled amount ("ST 6 %  18.84") is its row's rate of the subtotal above."""
    row = entry.amount.row
    if subtotal is None or entry.kind is not Kind.NONE or not rates.get(row) or row <= subtotal.amount.row:
        return False
    return abs(subtotal.value * rates[row] / 100 - entry.value) <= CENT


def _table(
    entries: Sequence[Entry], rates: dict[int, Decimal], total: Decimal | None, *, cents: bool
) -> tuple[Tax, ...]:
    """Return the taxes of rows with rate, net and tax. In a table of taxes, a rate may lack its "%"."""
    bare = {
        entry.amount.row: entry.value
        for entry in entries
        if entry.summary and entry.amount.role is Role.PLAIN and 0 < entry.value <= _HIGHEST_RATE
    }
    rows: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if is_price(entry.amount, cents=cents):
            rows[entry.amount.row].append(entry)
    found = []
    for row, here in rows.items():
        rate = rates.get(row, bare.get(row))
        both = _by_rate([abs(entry.value) for entry in here], rate) if rate is not None and len(here) >= 2 else None
        if both and (total is None or both[1] < total):
            found.append(Tax(description=_name(here[0].amount.before), rate=rate, net=both[0], amount=both[1]))
    return tuple({(tax.rate, tax.net, tax.amount): tax for tax in found if tax.net or tax.amount}.values())


def _name(text: str) -> str | None:
    """Return a tax's name without its rate and joining words."""
    bare = _JOINING.sub(" ", text)
    return " ".join(bare.strip(" .-)").split()) or None


def _by_rate(values: Sequence[Decimal], rate: Decimal) -> tuple[Decimal, Decimal] | None:
    """Return net and tax from a row's values, where the tax is `rate` percent of the net, else None."""
    for net, tax in permutations(values, 2):
        if tax <= net and abs(net * rate / 100 - tax) <= 2 * CENT:
            return net, tax
    return None


def _within(values: Sequence[Decimal], rate: Decimal) -> Decimal | None:
    """Return the tax that another of a row's values includes: "VAT 3.8 % of 440.00  16.11"."""
    pairs = permutations(values, 2)
    return next((tax for gross, tax in pairs if abs(gross * rate / (100 + rate) - tax) <= CENT), None)
