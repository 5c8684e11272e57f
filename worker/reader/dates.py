"""Dates: the date and time of the purchase.

If day and month of a date are ambiguous, these decide, in this order: another date of the receipt that is unambiguous
(or in another calendar), a longer number that repeats the date's digits, the custom of the receipt's country, and a
weekday beside the date. If none decides, the date is None.
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from worker.reader.country import Order
from worker.reader.words import fold

_MONTHS: Final = {
    month: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero gennaio januari janeiro ene gen",
            "feb february februar fevrier febrero febbraio februari fevereiro fev",
            "mar march marz mars marzo maart marco mrz mac",
            "apr april avril abril aprile avr abr",
            "may mai mayo maggio mei maio mag",
            "jun june juni juin junio giugno junho giu",
            "jul july juli juillet julio luglio julho lug juil",
            "aug august aout agosto augustus ago ogos",
            "sep sept september septembre septiembre settembre setembro set",
            "oct okt october oktober octobre octubre ottobre outubro ott out",
            "nov november novembre noviembre novembro",
            "dec dez dic december dezember decembre diciembre dicembre dezembro des dis",
        ),
        1,
    )
    for month in names.split()
}
_DAYS: Final = {
    day: number
    for number, names in enumerate(
        (
            "mon monday mo montag lun lundi lunes lunedi",
            "tue tuesday tues di dienstag mar mardi martes martedi",
            "wed wednesday mi mittwoch mer mercredi miercoles",
            "thu thursday thur thurs do donnerstag jeu jeudi jueves",
            "fri friday fr freitag ven vendredi viernes",
            "sat saturday sa samstag sam samedi sabado",
            "sun sunday so sonntag dim dimanche domingo",
        )
    )
    for day in names.split()
    if len(day) > 2
}
_SEP = r"\s?[-/.\\·]\s?"
_NUMERIC: Final = re.compile(
    rf"(?<![\d.,/-])(\d{{1,4}}){_SEP}(\d{{1,2}}){_SEP}"
    r"(?:((?:19|2[05])\d{2}|\d{2})(?!\d|[.,/-]\d{2}(?!:|\d:)(?!\d))"
    r"|(20\d{2}|\d{2})(?=[0-2]?\d:[0-5]\d))"  # a time follows without a blank
)
_LETTERS = r"[A-Za-zÀ-ÿ0-9]"
_NAMED: Final = (
    re.compile(
        r"(?<!\d)(?P<d>\d{1,2})(?i:st|nd|rd|th)?[-/.\s,]{0,3}(?P<m>[A-Za-zÀ-ÿ]{3,10})[-/.\s,'’]{0,3}(?P<y>\d{4}|\d{2})(?!\d)"
    ),
    re.compile(
        rf"(?<![A-Za-z])(?P<m>[A-Za-zÀ-ÿ]{{2}}{_LETTERS}|[A-Za-zÀ-ÿ]{{3,10}})\.?[-/\s]{{0,2}}(?P<d>\d{{1,2}})(?i:st|nd|rd|th)?[,:'’\s./-]{{1,3}}(?P<y>\d{{4}}|\d{{2}})(?!\d|:)"
    ),
    re.compile(r"(?<!\d)(?P<y>\d{4})[-/.\s]{0,2}(?P<m>[A-Za-zÀ-ÿ]{3,10})[-/.\s]{0,2}(?P<d>\d{1,2})(?!\d)"),
)
_ALMOST: Final = re.compile(
    r"(?<![A-Za-z\d])[\dOolI]{1,2}[/.-][\dOolI]{1,2}[/.-](?:[\dOolI]{4}|[\dOolI]{2})(?![A-Za-z\d])"
)
_COMPACT: Final = re.compile(r"(?<!\d)(\d{8})(?=\s+\d{1,2}:\d{2})")
_CJK: Final = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]?")
_TIME: Final = re.compile(
    r"(?<![\d:])([01]?\d|2[0-4])\s?[:.hH]\s?([0-5]\d)(?:\s?[:.]\s?([0-5]\d))?(?!\d)\s?(?:([aApP])\.?\s?[mM]?\b)?"
)
_NOT_THE_DATE: Final = re.compile(
    r"exp|valid|until|gultig|bis |best before|mhd|delivery|return|refund|due date|member since|offer|promo|from|ab |"
    r"angebot|birth|founded|established|since|monday to|miti|caduc|fin de|vence",
)
_THE_DATE: Final = re.compile(
    r"\bdate|datum|fecha|\bfec|\bdata\b|tarih|dato|tanggal|tgl|tarikh|日期|日付|\ble\b|invoice date|bill date|\bdt\b"
)
_ARRIVAL: Final = re.compile(r"\barriv|\bankunft|\banreise|\beinfahrt|\bcheck in|\bentry|\bentrada|\bentree|\bllegada")
_MITI: Final = re.compile(r"\bmiti (?:\d{1,2} (\d{1,2}) 20[5-9]\d)\b")
"""A date in Nepal's calendar, which is 56 years and 8 months ahead. Bills there print it beside the other date."""
_NO_FIT: Final = -2.0
"""A date with this fit or a lower one is not the purchase date but, say, the expiry of a card or a return period."""
_BUDDHIST: Final = 543
"""Years that Thailand's calendar is ahead."""
_LONG_NUMBER: Final = re.compile(r"\d{8,}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A date as written: its possible readings, its row, and how well it fits as the date of the purchase."""

    readings: tuple[dt.date, ...]
    orders: tuple[Order, ...]
    row: int
    fit: float
    weekday: int | None


@dataclass(frozen=True, slots=True)
class Purchase:
    """The date and time of the purchase, the confidence in the date (0 to 1), and the number of dates that fit."""

    date: dt.date | None
    time: str | None
    confidence: float
    days: int = 0


def find(texts: Sequence[str], scores: Sequence[float], order: Order, *, today: dt.date) -> Purchase:
    """Return the date and time of the purchase. `order` is the custom of the country, "" if unknown."""
    candidates = [found for row, text in enumerate(texts) for found in _candidates(row, text, today)]
    if not candidates:
        return Purchase(None, _time(texts, None), 0.0)
    settled = _settled_order(candidates, texts)
    best = max(candidates, key=lambda one: (one.fit, -one.row))
    if best.fit <= _NO_FIT:
        return Purchase(None, _time(texts, None), 0.0)
    date, sure = _choose(best, settled, order)
    if date is None:
        for other in sorted(candidates, key=lambda one: -one.fit):
            if other.fit >= best.fit - 1:
                date, sure = _choose(other, settled, order)
                if date:
                    break
    rivals = {one.readings for one in candidates if one.fit >= best.fit - 0.5 and date not in one.readings}
    sure *= 0.75 if rivals else 1.0
    days = len({min(one.readings) for one in candidates if one.fit >= 0.5})
    read = min(1.0, 0.4 + 0.6 * scores[best.row])
    return Purchase(date, _time(texts, best.row), sure * read if date else 0.0, days)


def _candidates(row: int, text: str, today: dt.date) -> Iterator[Candidate]:
    text = _ALMOST.sub(_digits, text.replace("：", ":").replace("（", "(").replace("）", ")"))
    spans: list[tuple[int, int]] = []
    for readings, span in _readings(text):
        plausible = [
            (day, order) for day, order in readings if dt.date(1990, 1, 1) <= day <= today + dt.timedelta(days=1)
        ]
        if not plausible or any(span[0] < end and start < span[1] for start, end in spans):
            continue
        spans.append(span)
        merged: dict[dt.date, Order] = {}
        for day, order in plausible:
            merged.setdefault(day, order)
        yield Candidate(tuple(merged), tuple(merged.values()), row, _fit(text, span), _weekday(text))


def _digits(match: re.Match[str]) -> str:
    return match[0].translate(str.maketrans("OolI", "0011"))


def _readings(text: str) -> Iterator[tuple[list[tuple[dt.date, Order]], tuple[int, int]]]:
    for match in _CJK.finditer(text):
        yield _days([(match[1], match[2], match[3], "ymd")]), match.span()
    for pattern in _NAMED:
        for match in pattern.finditer(text):
            month = _month(match["m"])
            if month:
                yield _days([(match["y"], str(month), match["d"], "")]), match.span()
    for match in _NUMERIC.finditer(text):
        yield _days(_numeric(match)), match.span()
    for match in _COMPACT.finditer(text):
        digits = match[1]
        yield (
            _days(
                [
                    (digits[:4], digits[4:6], digits[6:], "ymd"),
                    (digits[4:], digits[2:4], digits[:2], "dmy"),
                    (digits[4:], digits[:2], digits[2:4], "mdy"),
                ]
            ),
            match.span(),
        )


def _numeric(match: re.Match[str]) -> list[tuple[str, str, str, str]]:
    """Return year, month, day and order for every order that three numbers can have."""
    one, two, three = match[1], match[2], match[3] or match[4]
    if len(one) >= 3:
        return [(one, two, three, "ymd")] if len(one) == 4 and len(three) == 2 else []
    options = [(three, two, one, "dmy")]
    if match[0].count(".") < 2:  # dates with points are never written month first
        options.append((three, one, two, "mdy"))
    if len(three) == 2:
        options.append((one, two, three, "ymd"))
    return options


def _month(name: str) -> int | None:
    folded = fold(name).replace("0", "o").replace("1", "l").replace(" ", "")
    if folded in _MONTHS:
        return _MONTHS[folded]
    return (
        _MONTHS.get(folded[:3])
        if len(folded) > 4 and any(full.startswith(folded[:4]) for full in _MONTHS if len(full) > 3)
        else None
    )


def _days(options: list[tuple[str, str, str, str]]) -> list[tuple[dt.date, Order]]:
    days: list[tuple[dt.date, Order]] = []
    for year, month, day, order in options:
        number = int(year) + (0 if len(year) == 4 else 2000 if int(year) < 80 else 1900)
        number -= _BUDDHIST if number > 2500 else 0
        try:
            days.append((dt.date(number, int(month), int(day)), order))  # type: ignore[arg-type]  # one of the literals
        except ValueError:
            continue
    return days


def _fit(text: str, span: tuple[int, int]) -> float:
    before, after = text[: span[0]].lower(), text[span[1] :]
    fit = 0.0
    if _THE_DATE.search(fold(before)[-16:]):
        fit += 1.5
    if _ARRIVAL.search(fold(before)[-16:]):
        fit -= 1.0
    if any(_TIME.search(_NUMERIC.sub(" ", side)) for side in (before, after)):
        fit += 1.5
    if _NOT_THE_DATE.search(before):
        fit -= 3.0
    if _NOT_THE_DATE.search(after.lower()[:14]):
        fit -= 1.0
    written = text[span[0] : span[1]]
    if re.search(r"\d{4}", written):
        fit += 0.5
    return fit


def _weekday(text: str) -> int | None:
    return next((_DAYS[word] for word in fold(text).split() if word in _DAYS), None)


def _settled_order(candidates: Sequence[Candidate], texts: Sequence[str]) -> Order:
    """Return the order of day and month that the receipt itself proves, or ""."""
    for one in candidates:
        likely: list[Order] = [order for order in one.orders if order != "ymd"] or [*one.orders]
        if len(likely) == 1 and likely[0]:  # a year of two digits is rarely first
            return likely[0]
    nepali = next((match for text in texts if (match := _MITI.search(fold(text)))), None)
    if nepali:
        months = {(int(nepali[1]) + later - 1) % 12 + 1 for later in (3, 4)}
        fitting = [
            order
            for one in candidates
            for day, order in zip(one.readings, one.orders, strict=True)
            if day.month in months
        ]
        if len(set(fitting)) == 1:
            return fitting[0]
    numbers = " ".join(number for text in texts for number in _LONG_NUMBER.findall(text))
    for one in candidates:
        repeated = [
            order for day, order in zip(one.readings, one.orders, strict=True) if day.strftime("%Y%m%d") in numbers
        ]
        if len(repeated) == 1:
            return repeated[0]
    return ""


def _choose(one: Candidate, settled: Order, custom: Order) -> tuple[dt.date | None, float]:
    """Return the most likely reading of a date and the confidence in it (0 to 1)."""
    if len(one.readings) == 1:
        return one.readings[0], 0.97
    by_order = dict(zip(one.orders, one.readings, strict=True))
    by_weekday = [day for day in one.readings if one.weekday is not None and day.weekday() == one.weekday]
    day_first = [day for day, order in zip(one.readings, one.orders, strict=True) if order != "ymd"]
    choices: list[tuple[bool, dt.date | None, float]] = [
        (settled in by_order, by_order.get(settled), 0.93),
        (
            custom in by_order,
            by_order.get(custom),
            0.6 if by_weekday and by_order.get(custom) not in by_weekday else 0.93,
        ),
        (len(by_weekday) == 1, next(iter(by_weekday), None), 0.9),
        (len(day_first) == 1, next(iter(day_first), None), 0.85),  # a year of two digits is rarely first
    ]
    return next(((day, sure) for holds, day, sure in choices if holds), (None, 0.0))


def _time(texts: Sequence[str], row: int | None) -> str | None:
    near = [] if row is None else [row, row + 1, row - 1]
    labelled = [
        index for index, text in enumerate(texts) if re.search(r"time|zeit|hora|heure|uhr\b", text, re.IGNORECASE)
    ]
    for index in [*near, *labelled]:
        if 0 <= index < len(texts):
            text = _NUMERIC.sub("  ", texts[index].replace("：", ":"))
            for match in _TIME.finditer(text):
                if ":" not in match[0] and not (match[4] or "h" in match[0].lower()):
                    continue
                hour, minute, second, half = int(match[1]), match[2], match[3], (match[4] or "").lower()
                if half == "p" and hour < 12:
                    hour += 12
                elif half == "a" and hour == 12:
                    hour = 0
                if hour < 24:
                    return f"{hour:02d}:{minute}" + (f":{second}" if second else "")
    return None
