"""Items: the purchased goods, from the rows between the head and the sums.

An item's description is in the row of its amount, or in the row above or below, depending on the shop. A count such as
"2 x 0,35" can be a separate row before or after its item: arithmetic tells to which item it belongs. The items end
where they add up to the subtotal or the total.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from worker.reader.amounts import Amount, Role, is_price
from worker.reader.entries import CENT, Entry
from worker.reader.labels import Kind, label
from worker.reader.layout import Row
from worker.reader.merchant import is_address, is_beside
from worker.reader.words import letters_for_digits
from worker.receipts.receipt import Item

_SUMS: Final = frozenset({Kind.TOTAL, Kind.SUBTOTAL, Kind.TAX, Kind.CHANGE})
_NO_ITEM: Final = frozenset(
    {Kind.TAX, Kind.TIP, Kind.SERVICE, Kind.ROUNDING, Kind.SAVING, Kind.COUNT, Kind.CHANGE, Kind.POINTS}
)
_UNITS: Final = re.compile(
    r"\b(un|und|unid|pz|stk|stck|st|pcs?|ea|kgs?|kilos?|grs?|lbs?|1b|l|ltr|lit(er|ro)s?|g|gal|eur|euro|rm|usd)?[xX×@]?(?![^\W\d])\b",
    re.IGNORECASE,
)
_PER_UNIT: Final = re.compile(
    r"^\W*(precio|price|preis|prix|prezzo|unit)\b.*\b(kilo|kg|l|lb|gal|unit|ud|each|price)\b", re.IGNORECASE
)
_HEADING: Final = re.compile(
    r"\b(qty|quan|price|amount|amt|cost|description|descript|desc|item|artikel|articulo|preis|importe|menge|u/p|rate|particulars|total|prix|qte)\b",
    re.IGNORECASE,
)
_RULED: Final = re.compile(r"^[\W_]*$")
_COUNT: Final = re.compile(r"^[^\w#]*(\d{1,3})\s*(?:[xX×]\s+|\s)(?=\D*[^\W\d])")
_LABELLED: Final = re.compile(r"[^\W\d]\s?:\s*\w")
_FEW: Final = re.compile(r"^\W*[1-9]\s+[^\W\d]{2}")
_CODE: Final = re.compile(r"^\W*(\d[\d-]{3,13})\b(?![.,]\d)\W*")
_TIME: Final = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):[0-5]\d(?![\d:])")
_JOINT: Final = re.compile(r"(\s[xX×@]|[\s:*|=~#-])+$")
_TOO_MUCH: Final = 20
"""An "item" of more than this many times the total is an identifier, such as a member or account number."""


@dataclass(slots=True)
class _Draft:
    """An item that is being assembled."""

    description: str
    amount: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    code: str | None = None

    def describe(self, text: str) -> None:
        """Set the description and the code from a row of words."""
        code = _CODE.match(text)
        self.description = tidy(text)
        self.code = self.code or (code[1] if code else None)


def find(
    rows: Sequence[Row],
    amounts: Sequence[Amount],
    entries: Sequence[Entry],
    *,
    start: int,
    cents: bool,
    sums: Sequence[Decimal] = (),
) -> tuple[Item, ...]:
    """Return the items in the rows from `start` on. `sums`: the amounts that they may add up to (subtotal, total)."""
    by_row: dict[int, list[Amount]] = defaultdict(list)
    for amount in amounts:
        by_row[amount.row].append(amount)
    end = _end(rows, entries, start)
    drafts: list[_Draft] = []
    above: list[str] = []
    counts: list[tuple[int, Decimal, Decimal]] = []
    most = max((abs(value) for value in sums), default=None)
    for index in range(_begin(rows, by_row, start, end, cents=cents), end):
        text, numbers = rows[index].text, by_row[index]
        prices = [amount for amount in numbers if is_price(amount, cents=cents)]
        count = _count_row(rows[index], numbers)
        price = prices[-1] if prices else None
        if _RULED.match(text) or not _may_be_item(price, text, most, first=not drafts, cents=cents):
            above.clear()
        elif count:
            counts.append((len(drafts), *count))
        elif price:
            _add_priced(rows[index], numbers, _in_cents(price, most, cents=cents), drafts, above)
        elif _letters(text) >= 2:
            if drafts and not drafts[-1].description:
                drafts[-1].describe(_unmarked(rows[index]))
            elif _TIME.search(text):
                above.clear()  # the rows above belong to the head
            elif not _only_units(rows[index]):
                above.append(_unmarked(rows[index]))
    _assign_counts(drafts, counts)
    return tuple(_item(draft) for draft in _up_to_sum(drafts, sums))


def _may_be_item(price: Amount | None, text: str, most: Decimal | None, *, first: bool, cents: bool) -> bool:
    """Return False for column names, account numbers, and rows of the head: "Capital 8000 EUR", "London W1D 3RS"."""
    if price is None:
        return not _is_heading(text)
    if most is not None and (price.places or not cents) and abs(price.value) > _TOO_MUCH * most:
        return False
    return not (first and cents and price.places != 2 and is_beside(text))


def _in_cents(price: Amount, most: Decimal | None, *, cents: bool) -> Amount:
    """Return the price, with "$395" read as 3.95 if 395 exceeds the largest sum of the receipt."""
    if cents and price.places == 0 and most is not None and price.value > most:
        return replace(price, value=price.value / 100)
    return price


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _only_units(row: Row) -> bool:
    """Return whether a row only has column names of weighed goods: "kg  EUR/kg  EUR"."""
    return _letters(_UNITS.sub("", row.text)) < 2 and not any(map(str.isdigit, row.text))


def _unmarked(row: Row) -> str:
    """Return the row's text without the tax letter at its end."""
    marked = len(row.pieces) > 1 and len(row.pieces[-1].text) == 1
    return "  ".join(piece.text for piece in (row.pieces[:-1] if marked else row.pieces))


def _is_heading(text: str) -> bool:
    named = {word.lower() for word in _HEADING.findall(text)}
    return len(named) >= 2 and not any(map(str.isdigit, text))


def _end(rows: Sequence[Row], entries: Sequence[Entry], start: int) -> int:
    """Return the row where the sums begin: the first label of a sum after the first price."""
    priced = next(
        (entry.amount.row for entry in entries if entry.amount.row >= start and entry.amount.places == 2), start
    )
    own = {entry.amount.row: entry for entry in entries if entry.own}
    for index in range(priced, len(rows)):
        entry = own.get(index)
        said = entry.label if entry else label(rows[index].text)
        weak = said.kind is Kind.TOTAL and said.strength < 2
        if said.kind in _SUMS and not weak and not _is_heading(rows[index].text) and (entry or said.kind is Kind.TOTAL):
            return index
    return len(rows)


def _begin(rows: Sequence[Row], by_row: dict[int, list[Amount]], start: int, end: int, *, cents: bool) -> int:
    """Return the first row of the items: after the column names, or the first price with the words directly above."""
    for index in range(start, end):
        if _is_heading(rows[index].text) and not any(is_price(amount, cents=cents) for amount in by_row[index]):
            return index + 1
    first = next(
        (index for index in range(start, end) if any(is_price(one, cents=cents) for one in by_row[index])), end
    )
    if not start < first < end:
        return first
    above = _count_row(rows[first - 1], by_row[first - 1]) is not None
    for back in range(1, min(4, first - start + 1)):
        text = rows[first - back].text
        if is_address(text) or _LABELLED.search(text):
            break
        if _FEW.match(text):
            return first - back
    if above or _letters(_UNITS.sub("", rows[first].text)) < 3:
        return max(start, first - 2 if _only_units(rows[first - 1]) else first - 1)
    return first


def _add_priced(row: Row, numbers: Sequence[Amount], price: Amount, drafts: list[_Draft], above: list[str]) -> None:
    """Add the item of a row with a price. Its words may be in the row above or below."""
    tail = _tail(row, numbers, price)
    raw = text_before(row, tail[0])
    code = _CODE.match(raw)
    words = tidy(raw)
    said = label(words)
    if _PER_UNIT.search(words) and drafts:
        _price_per_unit(drafts[-1], price.value)
        return
    sum_below = said.whole and (said.kind in {Kind.CARD, Kind.CASH} or (said.kind is Kind.TOTAL and said.strength > 1))
    nothing_off = said.kind is Kind.DISCOUNT and price.value == 0
    if (said.kind in _NO_ITEM and said.whole) or label(price.before).kind is Kind.SAVING or nothing_off or sum_below:
        above.clear()
        return
    quantity, unit_price = _counted(tail, price)
    counted = _COUNT.match(raw)
    if quantity is None and counted and _letters(words) >= 2:
        quantity = Decimal(counted[1])
        unit_price = next(
            (one.value for one in tail[:-1] if abs(one.value * quantity - price.value) <= CENT), unit_price
        )
    draft = _Draft(words, price.value, quantity, unit_price, code[1] if code else None)
    if _letters(words) < 2:
        draft.describe(above[-1] if above else "")
    elif above and not drafts:
        draft.description = tidy(" ".join([*above, words]))
    above.clear()
    drafts.append(draft)


def _price_per_unit(draft: _Draft, price: Decimal) -> None:
    """Use a row such as "PRICE/KG 6.30" as unit price of the item before it, if the arithmetic is right."""
    if draft.quantity is not None and abs(draft.quantity * price - draft.amount) <= CENT:
        draft.unit_price = price


def _tail(row: Row, numbers: Sequence[Amount], price: Amount) -> list[Amount]:
    """Return the numbers in columns at the row's end: quantity, unit price, amount."""
    before = [number for number in numbers if number.left < price.left]
    tail = [price]
    for number in reversed(before):
        between = _UNITS.sub("", tail[0].before)
        weighed = number.role is Role.QUANTITY and tail[0].role is Role.UNIT_PRICE
        counts = weighed or number.role is Role.UNIT_PRICE or re.match(r"\s?[xX×@]", number.after) is not None
        among_words = number.start > 0 and _letters(row.pieces[number.piece].text[: number.start]) >= 2
        if (
            _letters(between) >= 2
            or (among_words and not counts)
            or (number.left <= row.left and not counts and _alone(row))
        ):
            break
        tail.insert(0, number)
    if _is_package(row, tail):
        return [number for number in tail if number.piece > tail[0].piece] or [price]
    return tail


def _is_package(row: Row, tail: Sequence[Amount]) -> bool:
    """Return whether the first number is a package size ("WATER 6X1.5  4.14"), not a count that gives the amount."""
    count, others = tail[0], tail[1:-1]
    joined = re.match(r"\s?[xX×]\s?\d", count.after) is not None
    among_words = _letters(row.pieces[count.piece].text[: count.start]) >= 2
    explained = any(abs(count.value * other.value - tail[-1].value) <= CENT for other in others)
    return joined and among_words and not explained


def _alone(row: Row) -> bool:
    return len(row.pieces) <= 2 and _letters(row.text) >= 3


def text_before(row: Row, number: Amount) -> str:
    """Return the row's text before the number."""
    parts = [piece.text for piece in row.pieces[: number.piece]]
    return " ".join([*parts, row.pieces[number.piece].text[: number.start]])


def _counted(tail: Sequence[Amount], price: Amount) -> tuple[Decimal | None, Decimal | None]:
    """Return the quantity and unit price whose product is the amount, else those that are marked as such."""
    others = [number for number in tail if number is not price and number.value > 0]
    for one in others:
        for other in others:
            if one is not other and other.separator and abs(one.value * other.value - price.value) <= CENT:
                return one.value, other.value
    unit = next((number.value for number in others if number.role is Role.UNIT_PRICE and number.places == 2), None)
    said = next(
        (number.value for number in others if number.role in {Role.QUANTITY, Role.PLAIN} and number.value < 1000), None
    )
    if said is None and price.role is Role.UNIT_PRICE:
        return None, price.value
    return said, unit


def _count_row(row: Row, numbers: Sequence[Amount]) -> tuple[Decimal, Decimal] | None:
    """Return quantity and unit price of a row with nothing else: "2 x 0,35", "0.543 KG x 10.99", "3 @ $1.25"."""
    if len(numbers) != 2 or not re.search(r"[xX×@*]|/", row.text):
        return None
    bare = _UNITS.sub("", row.text)
    quantity, price = numbers
    if _letters(bare) >= 2 or price.role is not Role.UNIT_PRICE or quantity.value <= 0:
        return None
    return quantity.value, price.value


def _assign_counts(drafts: list[_Draft], counts: Sequence[tuple[int, Decimal, Decimal]]) -> None:
    """Assign each count in a separate row to the item before or after it whose amount it explains."""
    for place, quantity, price in counts:
        for draft in (*drafts[place : place + 1], *drafts[max(0, place - 1) : place]):
            if draft.unit_price is None and abs(quantity * price - abs(draft.amount)) <= CENT:
                draft.quantity, draft.unit_price = quantity, price
                break


def _up_to_sum(drafts: list[_Draft], sums: Sequence[Decimal]) -> list[_Draft]:
    """Return the drafts up to the point where they add up to one of the sums."""
    for count in range(len(drafts), 0, -1):
        if sum((draft.amount for draft in drafts[:count]), Decimal(0)) in sums:
            return drafts[:count]
    return drafts


def tidy(text: str) -> str:
    """Return a description without the code and count at its start and the joining characters at its end."""
    text = re.sub(r"\s+", " ", text).strip(" |.:*")
    coded = _CODE.sub("", text)
    text = coded if _letters(coded) >= 2 else text
    counted = _COUNT.sub("", text)
    text = counted if _letters(counted) >= 2 else text
    text = re.sub(r"(\s\d{6,14}|\d{9,14})\s?\w?\s*$", "", text)
    return letters_for_digits(_JOINT.sub("", text).strip(" |.:,*$€£"))


def _item(draft: _Draft) -> Item:
    return Item(
        description=draft.description or None,
        quantity=draft.quantity,
        unit_price=draft.unit_price,
        amount=draft.amount,
        product_code=draft.code,
    )
