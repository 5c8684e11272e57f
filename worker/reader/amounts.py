"""Amounts: numbers in the text of a receipt, in the notation of any country.

"1.234,56", "1,234.56", "1'234.50", "1 234,56", ".88", "12,00-", "RM10.00", "€28.95", and their OCR errors ("RMO.40",
"44. 00"). A number is money if it is written like the receipt's other money. The text around a number distinguishes
percentages, quantities, dates, times, telephone and article numbers.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from worker.reader.layout import Piece, Row

LARGEST: Final = Decimal("1e12")
"""A larger number is a code, whatever the currency."""


class Role(StrEnum):
    """The role of a number, judged by its form and its neighbours."""

    MONEY = "money"
    PERCENT = "percent"
    QUANTITY = "quantity"
    UNIT_PRICE = "unit_price"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number on a receipt: its value, decimals as written, adjacent currency mark, and position.

    `before` is the text between the previous number of the row and this one. `piece` and `start` locate its first
    character in the row. `guessed`: no decimal separator was read, and two decimals are assumed.
    """

    value: Decimal
    places: int
    role: Role
    mark: str | None
    left: float
    right: float
    row: int
    before: str
    after: str
    score: float
    piece: int
    start: int
    separator: str = ""
    guessed: bool = False


_MARKS = (
    r"RM|MYR|Rs\.?|INR|USD|EUR|GBP|AED|SGD|CAD|AUD|NZD|CHF|SFr\.?|Fr\.|IDR|Rp\.?|THB|PHP|HK\$|NT\$|US\$|"
    r"S\$|A\$|C\$|R\$|kr\.?|SEK|DKK|NOK|zł|PLN|Kč|CZK|Ft|HUF|TL|TRY|DH|MAD|SAR|QAR|KWD|BHD|OMR|JOD|VND|NPR|"
    r"LKR|PKR|BDT|KES|NGN|ZAR|KRW|JPY|CNY|[$€£¥￥₹₩฿₫₱₪₺]"
)
_NUMBER: Final = re.compile(
    rf"""
    (?P<mark>(?<![A-Za-z])(?:{_MARKS}))?\s?
    (?P<sign>[-−–(]\s?)?(?P<mark2>[$€£])?\s?
    (?P<number>
        \d{{1,3}}(?:[.,'’]\d{{3}})+(?:[.,]\d{{1,2}})?(?!\d) |
        \d{{1,3}}(?:\s\d{{3}})+[.,]\d{{2}}(?!\d) |
        \d+\s?[.,]{{1,2}}\d{{2}}(?!\d) |
        \d+\s?[.,]\s\d{{2}}(?!\d|-\d|\s+[^\W\d_]{{2}}) |
        \d+[.,]\d\s\d(?=\s*$) |
        \d+[.,]\d{{1,4}}(?!\d) |
        (?<![\d.,])(?:(?<![^\W\d_])|(?<=RM)|(?<=Rs)|(?<=Rp))[.,]\d{{2}}(?!\d) |
        (?<![\d.,])(?<!\d[\s])\d{{1,4}}\s\d{{2}}(?=\s*$) |
        \d+
    )
    (?P<minus>\s?[-−–)](?!\d))?
    (?:\s?(?P<mark3>(?:{_MARKS})(?![A-Za-z])))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOT_MONEY: Final = re.compile(
    r"""
    \b\d{1,2}:\d{2}(:\d{2})?(\s?[ap]m?\b)? |                       # times
    (\b\d{1,2}[.:]\d{2}\s?[-–]\s?)?\b\d{1,2}\.\d{2}\s?Uhr\b |      # opening hours
    \b\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}(\d{1,2}:\d{2}|\b(?![.,]\d)) |  # dates, with or without a time attached
    \b(te[l1](efon|ephone|[ée]fono|p|f)?|t[ée]l|ph(one)?|fax|mob(ile)?)\b[\s.:#-]*[\d\s()/+.-]{6,} |
    \b\d{1,2}[-/\s]?[A-Za-z]{3,9}[-/\s,.]?\s?(19|20)\d{2}\b |       # dates with the name of a month
    [x*#]{3,}\s?\d+ |                                              # masked card numbers
    \+?\(?\d{2,4}\)?[-/\s]\d{3,4}[-\s]\d{3,4}\b |                  # telephones
    \b\d{2,3}-\d{6,8}\b |
    (?<![\d.,])\d{7,}(?![\d.,]) |                                  # article and account numbers
    \b(?=[A-Z\d]*[A-Z])(?=[A-Z\d]*\d)[A-Z\d]{6,}\b                 # codes
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FIXES: Final = (
    (re.compile(r"(?<=[\d.,])[OoQ](?=[\dOo.,]|\b|[{}])"), "0"),
    (re.compile(r"(?<![A-Za-z])[OoQ](?=[.,]\d)"), "0"),
    (re.compile(r"(?<=RM)[OoQ](?=[.,])"), "0"),
    (re.compile(r"(?<![A-Za-z])[lI|](?=\d*[.,]\d\d\b)"), "1"),
    (re.compile(r"(?<=\d[.,])B(?=\d)"), "8"),
    (re.compile(r"(?<=\d[.,]\d)B\b"), "8"),
    (re.compile(r"(?<=\d[.,])[lI](?=\d)"), "1"),
    (re.compile(r"[×✕]"), "x"),
    (re.compile(r"："), ":"),
    (re.compile(r"（"), "("),
    (re.compile(r"）"), ")"),
    (re.compile(r"，"), ","),
)
_UNIT: Final = re.compile(
    r"^\s?(kg|kgs|gr?|grs|lbs?|1bs?|oz|ml|cl|l|ltr|lit(er|re)s?|gal|pcs?|pc|stk|stück|st|ea|each|kilos?|km|mm|cm|m2|cc|mins?|hrs?|days?)\b(?!\s?[.,]\d)",
    re.IGNORECASE,
)
_PER_UNIT: Final = re.compile(r"^\s?(eur|€|\$|rm)?\s?/\s?(kg|l|lb|1b|gal|lit(er|re)|st|stk|ea|100)", re.IGNORECASE)
_TIMES: Final = re.compile(r"\s?((x|@)(?=[\s\d$€£.]|$)|\*\s?[\d$€£.])", re.IGNORECASE)


def clean(text: str) -> str:
    """Return `text` with common OCR errors in numbers corrected."""
    for pattern, good in _FIXES:
        text = pattern.sub(good, text)
    return text


def _blank(found: re.Match[str]) -> str:
    return "\0" * len(found[0])


def _in_piece(piece: Piece, row: int, place: int, before: str) -> list[Amount]:
    text = clean(piece.text)
    visible = _NOT_MONEY.sub(_blank, text)
    step = (piece.right - piece.left) / max(len(text), 1)
    found: list[Amount] = []
    last = 0
    for match in _NUMBER.finditer(visible):
        start, end = match.span("number")
        if _part_of_a_word(visible, start, end):
            continue
        lead = before + " " + text[last : match.start()].replace("\0", " ") if not found else text[last : match.start()]
        rest = visible[match.end() :]
        mark = next((match[name] for name in ("mark", "mark2", "mark3") if match[name]), None)
        guessed = re.fullmatch(r"\d+\s\d\d", match["number"]) is not None
        number = re.sub(r"\s", "." if guessed else "", match["number"])
        value, places, separator = _value(number)
        if value > LARGEST:
            continue
        negative = bool(match["minus"] and "-" in match["minus"].replace("−", "-").replace("–", "-")) or bool(
            match["sign"] and match["sign"].strip() in {"-", "−", "–"} and (places or mark)
        )
        found.append(
            Amount(
                value=-value if negative else value,
                places=places,
                role=_role(lead, rest, places, mark),
                mark=mark,
                left=piece.left + step * start,
                right=piece.left + step * match.end("number"),
                row=row,
                before=lead.strip(),
                after=rest.replace("\0", " ").strip(),
                score=piece.score,
                piece=place,
                start=match.start(),
                separator="" if guessed else separator,
                guessed=guessed,
            )
        )
        last = match.end()
    return found


def _part_of_a_word(text: str, start: int, end: int) -> bool:
    """Return whether the number belongs to an article name or code ("3IN1", "RON95", "7/118B")."""
    money = re.search(r"[.,]\s?\d{2}$", text[start:end]) is not None
    before, after = text[max(0, start - 1) : start], text[end : end + 2]
    if before in {"/", "#", "\0", "_"} or (before.isalpha() and not money and not _mark_before(text, start)):
        return True
    if before in {".", ",", "-", ":"} and text[max(0, start - 2) : start - 1].isdigit():
        return True
    if not money and after[:1] in {"/", "\\"} and after[1:2].isdigit():
        return True
    return (
        after[:1].isalpha()
        and (not money or after[1:2].isalpha())
        and not re.match(rf"(?:{_MARKS}|x|kg|stk)(?![a-z])", text[end:], re.IGNORECASE)
        and not _UNIT.match(text[end:])
    )


def _mark_before(text: str, start: int) -> bool:
    return re.search(rf"(?:{_MARKS})\s?$", text[:start], re.IGNORECASE) is not None


def _value(number: str) -> tuple[Decimal, int, str]:
    """Return the value of a written number, its number of decimals, and its last separator.

    Three digits after the separator can be a group or decimals. They give -3 decimals, and `_by_convention` decides.
    """
    number = re.sub(r"([.,])[.,]+", r"\1", number).replace("'", "").replace("’", "")
    last = max(number.rfind("."), number.rfind(","))
    if last < 0:
        return Decimal(number), 0, ""
    head, tail, separator = re.sub(r"[.,]", "", number[:last]) or "0", number[last + 1 :], number[last]
    if len(tail) == 3 and not number.startswith("0"):
        groups = re.fullmatch(r"\d{1,3}([.,]\d{3})+", number)
        if groups:
            return Decimal(head + tail), 0 if number.count(separator) > 1 else -3, separator
    return Decimal(f"{head}.{tail}"), len(tail), separator


def _role(lead: str, rest: str, places: int, mark: str | None) -> Role:
    """Return the role of a number by the text before and after it."""
    if rest.lstrip().startswith("%"):
        role = Role.PERCENT
    elif re.search(r"@\s*$|\b\d*x\s*$", lead, re.IGNORECASE) or _PER_UNIT.match(rest):
        role = Role.UNIT_PRICE
    elif not mark and (_TIMES.match(rest) or _UNIT.match(rest)):
        role = Role.QUANTITY
    else:
        role = Role.MONEY if places == 2 or mark else Role.PLAIN
    return role


def amounts(rows: Iterable[Row]) -> list[Amount]:
    """Return every number in the rows, row by row from left to right, read by the receipt's own convention."""
    found: list[Amount] = []
    for index, row in enumerate(rows):
        before = ""
        for place, piece in enumerate(row.pieces):
            here = _in_piece(piece, index, place, before)
            if here and place + 1 < len(row.pieces) and row.pieces[place + 1].text.startswith("%"):
                here[-1] = replace(here[-1], role=Role.PERCENT)
            if here and place + 1 == len(row.pieces) and here[-1].places == 2 and here[-1].after in {"x", "X"}:
                here[-1] = replace(here[-1], role=Role.MONEY)  # the x is a tax mark at the end of the row
            found += here
            before = here[-1].after if here else f"{before} {clean(piece.text)}"
    return _by_convention(found)


def _by_convention(found: list[Amount]) -> list[Amount]:
    """Resolve three digits after a separator, and decide whether plain integers are money on this receipt."""
    separators = Counter(amount.separator for amount in found if amount.places == 2 and not amount.guessed)
    if not separators:
        grouped = sum(amount.places == -3 or amount.separator != "" for amount in found) >= 2
        last = {amount.row: amount for amount in found}  # the last amount of each row
        return [
            _whole(amount, grouped=grouped, last=last[amount.row] is amount) if amount.places in {0, -3} else amount
            for amount in found
        ]
    decimal = separators.most_common(1)[0][0]
    return [
        amount
        if amount.places != -3
        else replace(amount, places=3, value=amount.value / 1000)
        if amount.separator == decimal
        else replace(amount, places=0)
        for amount in found
    ]


def _whole(amount: Amount, *, grouped: bool, last: bool) -> Amount:
    """Return an integer with the role money if it can be.

    On a receipt with grouped thousands, an integer without separator is money only from 100 to 999 at the end of a row.
    """
    bare = not grouped or (last and 100 <= amount.value < 1000)
    money = amount.separator != "" or amount.mark is not None or bare
    return replace(amount, places=0, role=Role.MONEY if amount.role is Role.PLAIN and money else amount.role)


def is_price(amount: Amount, *, cents: bool) -> bool:
    """Return whether a number is written like money. `cents`: the receipt's money has two decimals."""
    return amount.role is Role.MONEY and (amount.places == 2 or not cents or amount.mark is not None)


def has_cents(found: Iterable[Amount]) -> bool:
    """Return whether this receipt's money has two decimals."""
    places = Counter(amount.places for amount in found if amount.role is Role.MONEY)
    return places[2] >= 1
