"""Parsers for numbers, dates and times as receipts print them, for endpoints that return printed text.

An ambiguous text gives None. The receipt's other amounts show whether a comma before three digits marks thousands or
decimals. A date such as 05/04/2023 is not guessed.
"""

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal

Separator = Literal[".", ","]

_MOST_DIGITS: Final = 28
"""A number with more digits is not an amount, and arithmetic would round it."""
_NUMBER: Final = re.compile(r"(?<![\w.,])[.,]\d{1,2}(?!\d)|\d[\d.,'\u2019\u00a0\u202f ]*\d|\d")
"""Includes .50 (one half), but not the .50 in Rs.50."""
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR_FIRST: Final = re.compile(r"(?<!\d)(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?!\d)")
_YEAR_LAST: Final = re.compile(r"(?<!\d)(\d{1,2})[-./](\d{1,2})[-./](\d{4}|\d{2})(?!\d)")
_DAY_NAMED: Final = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[-./\s]*([A-Za-z]{3})[a-z]*\.?,?[-./\s']*(\d{4}|\d{2})(?!\d)"
)
_NAMED_DAY: Final = re.compile(r"([A-Za-z]{3})[a-z]*\.?[-./\s]*(\d{1,2})(?:st|nd|rd|th)?,?[-./\s']+(\d{4}|\d{2})(?!\d)")
_TIME: Final = re.compile(r"(?<![\d:])(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s*([AaPp])\.?[Mm]\b)?")


def decimal_separator(texts: Iterable[str]) -> Separator | None:
    """Return the decimal separator of these amounts of one receipt, or None if they disagree or show none."""
    found: set[str] = set()
    for text in texts:
        for number in _NUMBER.findall(text):
            if match := re.search(r"[.,](?=\d{1,2}$)", number):
                found.add(match.group())
            elif len(set(re.findall("[.,]", number))) == 1 and len(re.findall("[.,]", number)) > 1:
                found.add("," if "." in number else ".")  # 1.234.567: the point separates thousands
    return found.pop() if len(found) == 1 else None  # type: ignore[return-value]  # it is one of the two


def amount(text: str, separator: Separator | None) -> Decimal | None:
    """Return the number in `text`, ignoring currency signs; None if there is not exactly one or it is ambiguous."""
    numbers = _NUMBER.findall(text)
    if len(numbers) != 1:
        return None
    digits = re.sub(r"['\u2019\u00a0\u202f ]", "", numbers[0])
    own = re.search(r"[.,](?=\d{1,2}$)", digits)
    marks = set(re.findall("[.,]", digits))
    if own:
        separator = own.group()  # type: ignore[assignment]  # it is one of the two
    elif len(marks) == 2:  # 1.234,567: the last one is the decimal separator
        separator = digits[max(digits.rfind("."), digits.rfind(","))]  # type: ignore[assignment]  # the same
    elif re.match(r"0[.,]", digits):  # a number with thousands does not begin with 0
        separator = digits[1]  # type: ignore[assignment]  # the same
    elif marks and separator is None and len(re.findall("[.,]", digits)) == 1:
        return None
    whole, _, decimals = digits.rpartition(separator) if separator and separator in digits else (digits, "", "")
    if separator and separator in whole:  # a decimal separator occurs only once
        whole, decimals = whole + decimals, ""
    if len(whole) + len(decimals) > _MOST_DIGITS:
        return None
    value = Decimal(re.sub("[.,]", "", whole) + (f".{decimals}" if decimals else ""))
    return -value if re.search(r"^\W*[-\u2212(]|[-\u2212]\s*$", text.strip()) else value


def date(text: str) -> dt.date | None:
    """Return the date in `text` if it is unambiguous: it names the month, has the year first, or a day above 12."""
    if match := _YEAR_FIRST.search(text):
        return _day(int(match[1]), int(match[2]), int(match[3]))
    for pattern, month_at, day_at in ((_DAY_NAMED, 2, 1), (_NAMED_DAY, 1, 2)):
        if (match := pattern.search(text)) and match[month_at].lower() in _MONTHS:
            return _day(_year(match[3]), _MONTHS.index(match[month_at].lower()) + 1, int(match[day_at]))
    if match := _YEAR_LAST.search(text):
        one, two, year = int(match[1]), int(match[2]), _year(match[3])
        readings = {_day(year, two, one), _day(year, one, two)} - {None}
        return readings.pop() if len(readings) == 1 else None
    return None


def time(text: str) -> str | None:
    """Return the time in `text` as HH:MM or HH:MM:SS, or None."""
    match = _TIME.search(text)
    if not match:
        return None
    hour, half = int(match[1]), (match[4] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    try:
        read = dt.time(hour, int(match[2]), int(match[3] or 0))
    except ValueError:
        return None
    return read.isoformat("seconds" if match[3] else "minutes")


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)


def _day(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None
