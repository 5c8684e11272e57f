"""Charges on top of the goods: service, delivery, a bag. Each becomes an item after the goods.

Many receipts print a charge that the prices include already. So a charge is added only if the sums need it.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations, product
from typing import Final

from worker.reader import items
from worker.reader.amounts import is_price
from worker.reader.entries import Entry
from worker.reader.labels import Kind
from worker.reader.layout import Row
from worker.receipts.currency import rounding_tolerance
from worker.receipts.receipt import Item, Receipt

_MOST: Final = 4


def with_charges(receipt: Receipt, rows: Sequence[Row], labelled: Sequence[Entry], *, cents: bool) -> Receipt:
    """Return the receipt plus the charges that lead from its subtotal, or else its items, to its total."""
    goods = [item.amount for item in receipt.items if item.amount is not None]
    start = receipt.subtotal if receipt.subtotal is not None else sum(goods, Decimal(0))
    if receipt.total is None or not start:
        return receipt
    charged = [
        entry
        for entry in labelled
        if entry.kind is Kind.SERVICE and entry.own and entry.value > 0 and is_price(entry.amount, cents=cents)
    ][:_MOST]
    for size in range(len(charged) + 1):
        for some in combinations(charged, size):
            if _leads(start + sum((entry.value for entry in some), Decimal(0)), receipt):
                charges = tuple(_item(rows[entry.amount.row], entry) for entry in some)
                return receipt.model_copy(update={"items": (*receipt.items, *charges)})
    return receipt


def _leads(start: Decimal, receipt: Receipt) -> bool:
    """Return whether some of taxes, discount and tip lead from `start` to the total."""
    taxes = sum((tax.amount for tax in receipt.taxes if tax.amount), Decimal(0))
    parts = (taxes, -(receipt.discount or Decimal(0)), receipt.tip or Decimal(0))
    goal, tolerance = receipt.total or Decimal(0), rounding_tolerance(receipt.currency)
    return any(
        abs(start + sum(some, Decimal(0)) - goal) <= tolerance
        for some in product(*((Decimal(0), one) for one in parts))
    )


def _item(row: Row, entry: Entry) -> Item:
    return Item(description=items.tidy(items.text_before(row, entry.amount)) or None, amount=entry.value)
