"""Checks: the rules that a reading must satisfy to be accepted without a review.

The checks are the same for every endpoint. A check never changes a value. It reports a contradiction in a sentence for
people, with a weight between 0 (no doubt) and 1 (not credible). The weights and the model's own confidences give one
number; a threshold on it decides between `extracted` and `needs_review`.

Malformed card digits, times and codes are dropped before these checks; `fields_left_out` reports them.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, groupby, product
from typing import Final, Literal

from worker.receipts.currency import DECIMALS, rounding_tolerance
from worker.receipts.receipt import Item, Reading, Receipt

EARLIEST: Final = dt.date(1990, 1, 1)
"""An earlier date on a receipt is misread."""

DEFAULT_THRESHOLD: Final = 0.8
"""The lowest confidence at which a record counts as extracted."""

UNSTATED: Final = 0.9
"""The confidence of a field for which the model states none."""

MISSING: Final = 0.06
"""The weight of a missing date or merchant: with an unstated total confidence, one is tolerated, but not both."""

LARGEST_TOTAL: Final = Decimal(100_000)
"""A larger total, in units of its currency, is doubtful. Currencies with small units have 1,000 times this limit."""

_SMALL_UNITS = """
ARS CLP COP CRC HUF IDR INR IQD IRR ISK JPY KHR KRW KZT LAK LBP MMK MNT NGN PKR PYG RSD RUB RWF TZS UGX UZS VND XAF XOF
"""
_LONGEST_RUN: Final = 25

LEFT_OUT: Final = "fields_left_out"
"""Name of the check for fields that the reading left out. It needs the reading: the receipt does not show them."""

Decision = Literal["extracted", "needs_review"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction: the check's name, a sentence for people, and how much doubt it casts (0 to 1)."""

    name: str
    message: str
    weight: float

    def __post_init__(self) -> None:
        """Raise `ValueError` if the weight is not between 0 and 1."""
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight of {self.name} must be between 0 and 1, not {self.weight}")


def check(receipt: Receipt, *, today: dt.date, left_out: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return the contradictions in `receipt`, in a fixed order.

    `today` is the date in UTC. `left_out` names fields that are on the receipt but not in the reading.
    """
    return (*_left_out(left_out), *_date(receipt, today), *(finding for one in _CHECKS for finding in one(receipt)))


def confidence(reading: Reading, findings: Iterable[Finding]) -> float:
    """Return the confidence in the whole reading, between 0 and 1.

    It starts from the total's confidence, because a wrong total is the costliest error. A doubtful date or merchant
    reduces it to as little as half. Each finding then reduces the remainder by its weight.
    """
    if reading.receipt.total is None:
        return 0.0
    stated = reading.confidence
    left = min(
        stated.get("total", UNSTATED),
        0.5 + stated.get("purchase_date", UNSTATED) / 2 if reading.receipt.purchase_date else 1.0,
        0.5 + stated.get("merchant.name", UNSTATED) / 2 if reading.receipt.merchant.name else 1.0,
    )
    for finding in findings:
        left *= 1 - finding.weight
    return left


def decide(reading: Reading, findings: Iterable[Finding], *, threshold: float = DEFAULT_THRESHOLD) -> Decision:
    """Return whether the reading counts as extracted or needs a review. Without a total it always needs one."""
    if reading.receipt.total is None:
        return "needs_review"
    return "extracted" if confidence(reading, findings) >= threshold else "needs_review"


def _left_out(paths: Sequence[str]) -> Iterator[Finding]:
    if paths:
        named = ", ".join(paths)
        yield Finding(LEFT_OUT, f"Read incompletely, or answered with an invalid value: {named}.", 0.25)


def _date(receipt: Receipt, today: dt.date) -> Iterator[Finding]:
    date = receipt.purchase_date
    if date is None:
        yield Finding("date_missing", "No date was read.", MISSING)
    elif date > today + dt.timedelta(days=1):  # at the shop it can be tomorrow already
        yield Finding("date_in_future", f"The date {date} is in the future.", 0.6)
    elif date < EARLIEST:
        yield Finding("date_too_old", f"The date {date} is before {EARLIEST.year}.", 0.6)


def _total(receipt: Receipt) -> Iterator[Finding]:
    total = receipt.total
    if total is None:
        yield Finding("total_missing", "No total was read.", 1.0)
        return
    if total == 0:
        yield Finding("total_zero", "The total is zero.", 0.4)
    elif total < 0:
        yield Finding("total_negative", "The total is negative: a refund, or a misread sign.", 0.4)
    small_units = receipt.currency in _SMALL_UNITS.split() if receipt.currency else total == int(total)
    if abs(total) > (LARGEST_TOTAL * 1000 if small_units else LARGEST_TOTAL):
        yield Finding("total_too_large", f"A total of {total} is unusual for a receipt.", 0.5)
    decimals = DECIMALS.get(receipt.currency or "", 3)
    if total != round(total, decimals):
        yield Finding(
            "total_decimals", f"The total {total} has more decimals than {receipt.currency or 'any currency'}.", 0.4
        )


def _merchant(receipt: Receipt) -> Iterator[Finding]:
    name = receipt.merchant.name
    if name is None:
        yield Finding("merchant_missing", "No merchant was read.", MISSING)
    elif not any(letter.isalpha() for letter in name):
        yield Finding("merchant_no_name", "The merchant's name has no letter.", 0.2)


def _currency(receipt: Receipt) -> Iterator[Finding]:
    if receipt.currency is not None and receipt.currency not in DECIMALS:
        yield Finding("currency_unknown", f"{receipt.currency} is not an ISO 4217 currency code.", 0.3)


def _items(receipt: Receipt) -> Iterator[Finding]:
    wrong = [item for item in receipt.items if _multiplies(item, receipt.currency) is False]
    if wrong:
        yield Finding(
            "item_arithmetic",
            f"In {len(wrong)} of {len(receipt.items)} items, quantity times unit price is not the amount.",
            0.1,
        )
    few = len(receipt.items) <= _LONGEST_RUN
    run = 0 if few else max(len(list(same)) for _, same in groupby(receipt.items))
    if run > _LONGEST_RUN:
        yield Finding("items_repeat", f"The same item occurs {run} times in a row: the model may have looped.", 0.5)
    yield from _items_sum(receipt)


def _multiplies(item: Item, currency: str | None) -> bool | None:
    if item.quantity is None or item.unit_price is None or item.amount is None:
        return None
    return abs(abs(item.quantity * item.unit_price) - abs(item.amount)) <= rounding_tolerance(currency)


def _items_sum(receipt: Receipt) -> Iterator[Finding]:
    """Compare the sum of the items with the subtotal or, without one, with the total."""
    amounts = [item.amount for item in receipt.items if item.amount is not None]
    against = receipt.subtotal if receipt.subtotal is not None else receipt.total
    if len(amounts) != len(receipt.items) or not amounts or against is None:
        return
    if _charged_below(receipt):
        return
    parts = (_taxes_sum(receipt), _or_zero(receipt.discount), _or_zero(receipt.tip))
    if not _reaches(sum(amounts, Decimal(0)), against, (*parts, *(-part for part in parts)), receipt.currency):
        name = "subtotal" if receipt.subtotal is not None else "total"
        yield Finding(f"items_against_{name}", f"The items add up to {sum(amounts)}, the {name} is {against}.", 0.15)


def _charged_below(receipt: Receipt) -> Decimal:
    """Return the sum of the items that are charged after the subtotal, such as service or delivery.

    It is zero unless the first items add up to the subtotal and all items lead to the total.
    """
    amounts = [item.amount for item in receipt.items]
    if receipt.subtotal is None or receipt.total is None or None in amounts:
        return Decimal(0)
    sums = list(accumulate(_or_zero(amount) for amount in amounts))
    tolerance = rounding_tolerance(receipt.currency)
    above = next((number for number, done in enumerate(sums) if abs(done - receipt.subtotal) <= tolerance), None)
    if above is None:
        return Decimal(0)
    below = sums[-1] - sums[above]
    reached = _reaches(receipt.subtotal + below, receipt.total, _parts(receipt), receipt.currency)
    return below if reached else Decimal(0)


def _taxes(receipt: Receipt) -> Iterator[Finding]:
    tolerance = rounding_tolerance(receipt.currency)
    for tax in receipt.taxes:
        name = tax.description or "tax"
        if tax.amount is None:
            continue
        if tax.rate is not None and tax.net is not None:
            # some shops print the gross amount in place of the net
            due = (tax.net * tax.rate / 100, tax.net * tax.rate / (100 + abs(tax.rate)))
            if min(abs(one - tax.amount) for one in due) > tolerance:
                yield Finding("tax_against_rate", f"{name}: {tax.rate} % of {tax.net} is not {tax.amount}.", 0.15)
        if receipt.total is not None and abs(tax.amount) > abs(receipt.total):
            yield Finding("tax_above_total", f"{name}: {tax.amount} is more than the total {receipt.total}.", 0.4)


def _taxes_sum(receipt: Receipt) -> Decimal:
    return sum((tax.amount for tax in receipt.taxes if tax.amount is not None), Decimal(0))


def _or_zero(amount: Decimal | None) -> Decimal:
    return Decimal(0) if amount is None else amount


def _sums(receipt: Receipt) -> Iterator[Finding]:
    """Compare subtotal, taxes, discount, tip and charges with the total. The subtotal may include any of them."""
    if receipt.total is None or receipt.subtotal is None:
        return
    reached = _reaches(receipt.subtotal, receipt.total, _parts(receipt), receipt.currency)
    if not reached and not _charged_below(receipt):
        yield Finding(
            "sums_against_total",
            f"Subtotal {receipt.subtotal}, taxes, discount and tip do not add up to the total {receipt.total}.",
            0.35,
        )


def _parts(receipt: Receipt) -> tuple[Decimal, ...]:
    """Return the amounts that may lead from the subtotal to the total."""
    return (_taxes_sum(receipt), -abs(_or_zero(receipt.discount)), _or_zero(receipt.tip))


def _reaches(start: Decimal, goal: Decimal, parts: Iterable[Decimal], currency: str | None) -> bool:
    """Return whether `start` plus some of `parts` is `goal`, within the rounding tolerance."""
    tolerance = rounding_tolerance(currency)
    choices = product(*((Decimal(0), part) for part in parts if part))
    return any(abs(start + sum(chosen, Decimal(0)) - goal) <= tolerance for chosen in choices)


_CHECKS: tuple[Callable[[Receipt], Iterator[Finding]], ...] = (_total, _merchant, _currency, _items, _taxes, _sums)
