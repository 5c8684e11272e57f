"""Fields: converts the lines of text on a receipt's pages to a `Reading`. Pure code: no picture, network or clock."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from statistics import median
from typing import Final

from worker.reader import amounts as numbers
from worker.reader import charges, contacts, country, dates, entries, items, layout, merchant, payment, taxes, totals
from worker.reader.entries import Entry
from worker.reader.labels import Kind, label
from worker.reader.layout import Row
from worker.reader.ocr import MIN_SCORE, Line
from worker.receipts.receipt import Merchant, Reading, Receipt, Tax

VERSION: Final = "embedded-1"

_LONGEST: Final = 300
"""Most characters of a line. A longer one is a pattern, not text."""

_WIDEST: Final = 75
"""Largest width of one receipt's text, in line heights: 48 characters plus margin. Wider text is several receipts."""

_SEVERAL: Final = 0.4
"""Factor on the confidence if the picture seems to show several receipts."""


def extract(pages: Sequence[Sequence[Line]], *, today: dt.date) -> Reading:
    """Return the reading of the receipt from the lines of its pages, in order. Dates after `today` are not accepted.

    If the pages are separate receipts, the first is read, with low confidence, so that a person reviews it.
    """
    laid_out = [_rows(page) for page in pages]
    if len(laid_out) > 1 and _own_totals(laid_out) > 1:
        first = extract(pages[:1], today=today)
        return first.model_copy(
            update={"confidence": {path: sure * _SEVERAL for path, sure in first.confidence.items()}}
        )
    rows = [row for page in laid_out for row in page]
    texts = [row.text for row in rows]
    found = numbers.amounts(rows)
    cents = numbers.has_cents(found)
    labelled = entries.entries(rows, found)
    total = totals.find(labelled, cents=cents)
    spoken = [language for text in texts for language in label(text).languages]
    origin = country.origin(texts, spoken)
    day = dates.find(texts, [row.score for row in rows], origin.order, today=today)
    name = merchant.find(rows)
    taxed = taxes.find(texts, labelled, found, total.value, cents=cents)
    discount = _discount(labelled, cents=cents)
    subtotal = _subtotal(_values(labelled, Kind.SUBTOTAL, cents=cents), taxed, total.value) or _before_discount(
        _values(labelled, Kind.TOTAL, cents=cents), discount, total.value
    )
    tip = _first(_values(labelled, Kind.TIP, cents=cents), total.value)
    receipt = Receipt(
        merchant=Merchant(
            name=name.text,
            address=contacts.address(rows, name.rows),
            phone=contacts.phone(rows),
            tax_id=contacts.tax_id(rows),
        ),
        purchase_date=day.date,
        purchase_time=day.time,
        currency=origin.currency,
        items=items.find(
            rows,
            found,
            labelled,
            start=max(name.rows, default=-1) + 1,
            cents=cents,
            sums=_goods_sums(subtotal, taxed, discount, tip, total.value),
        ),
        subtotal=subtotal,
        taxes=taxed,
        discount=discount,
        tip=tip,
        total=total.value,
        payment=payment.payment(texts, labelled),
        receipt_number=contacts.receipt_number(rows),
        country=origin.country,
        language=origin.language,
    )
    if total.value is not None and total.value < 0:
        receipt = receipt.model_copy(update={"subtotal": None if subtotal is None else -subtotal})
    receipt = charges.with_charges(receipt, rows, labelled, cents=cents)
    doubt = _SEVERAL if several(rows, labelled, day.days) else 1.0
    confidence = {"total": doubt * total.confidence, "purchase_date": day.confidence, "merchant.name": name.confidence}
    stated = {"total": total.value, "purchase_date": day.date, "merchant.name": name.text}
    return Reading(
        receipt=receipt,
        confidence={path: round(confidence[path], 3) for path, value in stated.items() if value is not None},
        model_version=VERSION,
    )


def _own_totals(pages: Sequence[Sequence[Row]]) -> int:
    """Return the number of different totals on the pages, each page read separately; 0 if the first has none."""
    named: set[Decimal] = set()
    for number, rows in enumerate(pages):
        found = numbers.amounts(rows)
        total = totals.find(entries.entries(rows, found), cents=numbers.has_cents(found))
        if total.value is not None and total.candidates[0].total:
            named.add(total.value)
        elif number == 0:
            return 0  # it is the first part of a long receipt
    return len(named)


def several(rows: Sequence[Row], labelled: Sequence[Entry], days: int) -> bool:
    """Return whether the rows seem to come from several receipts: many totals, many dates, or too much width for one.

    `days`: the number of different dates in the picture that fit as the date of a purchase.
    """
    totals = {
        round(entry.value)
        for entry in labelled
        if entry.kind is Kind.TOTAL and entry.own and entry.label.strength >= 2 and not entry.summary
    }
    if not rows:
        return False
    wide = max(row.right for row in rows) - min(row.left for row in rows) > _WIDEST * median(row.height for row in rows)
    return (len(totals) >= 3 and days >= 2) or (wide and (len(totals) >= 2 or days >= 2))


def _rows(page: Sequence[Line]) -> list[Row]:
    lines = [line for line in page if line.score >= MIN_SCORE and 0 < len(line.text) <= _LONGEST]
    return layout.rows(layout.straighten(lines))


def _values(labelled: Sequence[Entry], kind: Kind, *, cents: bool) -> list[Decimal]:
    """Return the amounts with their own label of `kind` outside the table of taxes, from top to bottom."""
    return [
        abs(entry.value)
        for entry in labelled
        if entry.kind is kind
        and entry.own
        and entry.value
        and not entry.summary
        and numbers.is_price(entry.amount, cents=cents)
    ]


def _discount(labelled: Sequence[Entry], *, cents: bool) -> Decimal | None:
    """Return the labelled discount, else the negative amounts between subtotal and total."""
    named = _values(labelled, Kind.DISCOUNT, cents=cents)
    if named:
        return named[0]
    rows = {
        kind: next((entry.amount.row for entry in labelled if entry.kind is kind and entry.own), None) for kind in Kind
    }
    start, end = rows[Kind.SUBTOTAL], rows[Kind.TOTAL]
    if start is None or end is None:
        return None
    off = [
        entry.value
        for entry in labelled
        if entry.kind is Kind.NONE and entry.value < 0 and start < entry.amount.row < end
    ]
    return -sum(off, Decimal(0)) or None


def _before_discount(values: Sequence[Decimal], discount: Decimal | None, total: Decimal | None) -> Decimal | None:
    """Return the amount labelled as total that is before the discount: "Total 40.00, discount 5.00, to pay 35.00"."""
    if discount is None or total is None:
        return None
    return next((value for value in values if value - discount == total), None)


def _goods_sums(
    subtotal: Decimal | None,
    taxed: Sequence[Tax],
    discount: Decimal | None,
    tip: Decimal | None,
    total: Decimal | None,
) -> list[Decimal]:
    """Return the possible sums of the goods: the subtotal, the total, or the total before taxes, tip and discount."""
    if total is None:
        return [subtotal] if subtotal else []
    tax = sum((one.amount for one in taxed if one.amount), Decimal(0))
    before = [
        total - some_tax - some_tip + some_discount
        for some_tax in (Decimal(0), tax)
        for some_tip in (Decimal(0), tip or Decimal(0))
        for some_discount in (Decimal(0), discount or Decimal(0))
    ]
    return [value for value in (subtotal, *before) if value]


def _first(values: Sequence[Decimal], total: Decimal | None) -> Decimal | None:
    """Return the first value that is not more than the total."""
    return next((value for value in values if total is None or value <= total), None)


def _subtotal(values: Sequence[Decimal], taxed: Sequence[Tax], total: Decimal | None) -> Decimal | None:
    """Return the subtotal to which the taxes add up to the total, else the first one."""
    tax = sum((one.amount for one in taxed if one.amount), Decimal(0))
    leading = next(
        (value for value in values if total is not None and abs(value + tax - total) <= 2 * entries.CENT), None
    )
    return leading or next(iter(values), None)
