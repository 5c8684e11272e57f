"""The merchant's name, from the head of the receipt.

The name is in the first lines, but not always the first line with letters: addresses, slogans, handwriting, "tax
invoice" and the web site surround it. A legal form ("Sdn Bhd", "GmbH", "Inc") marks a name. So do a large size, a place
directly above the address, and repetition further down.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from statistics import median
from typing import Any, Final

from worker.reader.country import profiles
from worker.reader.layout import Piece, Row
from worker.reader.words import data, fold, letters_for_digits, near, words

_HEAD: Final = 16
_MOST_LINES: Final = 3
_LEAST: Final = 0.45
"""Lowest confidence of a name. A less certain one is a scrap of other text."""
_NOT_IN_HEAD: Final = 0.55
"""Confidence of a name from the greeting or the address of a web site."""
_PRICED: Final = re.compile(r"\d[.,]\d{2,3}\s*$")
_SENTENCE: Final = re.compile(r"^[a-zß-ÿ]\S*\s\S+\s\S|[$€£]\s?\d")
_LOGO: Final = 2.6
"""A word of at least this multiple of the body text's height is a logo."""


@dataclass(frozen=True, slots=True)
class Name:
    """The merchant's name, its rows, and the confidence in it (0 to 1)."""

    text: str | None
    rows: tuple[int, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class _Line:
    """A stretch of text in the head of the receipt."""

    text: str
    row: int
    height: float
    score: float
    left: float
    right: float

    @property
    def letters(self) -> int:
        return sum(map(str.isalpha, self.text))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    lists: dict[str, Any] = data("names.toml")
    return {name: re.compile("|".join(parts), re.IGNORECASE) for name, parts in lists.items() if name != "misread"}


@cache
def _misread() -> tuple[str, ...]:
    return tuple(data("names.toml")["misread"])


def _has(name: str, text: str) -> bool:
    return _patterns()[name].search(text) is not None


@lru_cache(maxsize=2_000)
def _is_noise(text: str) -> bool:
    """Return whether a line is not a name, because it has a word that no name has or looks like a label."""
    if _has("noise", text) or any(near(word, known) for word in words(text) for known in _misread()):
        return True
    caption = _patterns()["caption"]
    if not caption.search(text):
        return False
    labelled = any(
        re.match(r"\W*[:#\d]" if not any(map(str.isalpha, text[: found.start()])) else r"\s*\W?:", text[found.end() :])
        for found in caption.finditer(text)
    )
    return labelled or sum(map(str.isalpha, caption.sub("", text))) < 3


def is_beside(text: str) -> bool:
    """Return whether a line is not part of the name: it is about something else, or part of an address."""
    return _is_noise(text) or (not _has("legal", text) and is_address(text))


@cache
def _places() -> frozenset[str]:
    """Return the names of countries and cities that occur in addresses."""
    return frozenset(word for profile in profiles() for word in profile.words if word.isalpha() and len(word) > 3)


def find(rows: Sequence[Row]) -> Name:
    """Return the merchant's name from the head of the receipt, else from its greeting or web site."""
    name = _in_head(rows)
    return name if name.text else _elsewhere(rows)


def _elsewhere(rows: Sequence[Row]) -> Name:
    """Return the name from "Thank you for shopping at …" or "www.….com", for a head that is a picture."""
    for pattern in ("greeting", "site"):
        for row in rows:
            found = _patterns()[pattern].search(row.text)
            if found:
                text = tidy(row.text[found.end() :] if pattern == "greeting" else found["site"])
                if sum(map(str.isalpha, text)) >= 3 and not is_beside(text):
                    return Name(text, (), _NOT_IN_HEAD * row.score)
    return Name(None, (), 0.0)


def _in_head(rows: Sequence[Row]) -> Name:
    head = _head(rows)
    if not head:
        return Name(None, (), 0.0)
    body = median(row.height for row in rows)
    rest = ["" if is_address(row.text) else fold(row.text).replace(" ", "") for row in rows]
    aside = [is_beside(tidy(line.text)) for line in head]
    points = [_points(line, body, rest, above=place - sum(aside[:place])) for place, line in enumerate(head)]
    for place in _above_address(head):
        points[place] += 0.5
    for place in range(1, len(head) - 1):
        if all(_is_street(head[near].text) for near in (place - 1, place + 1)) and not _has("legal", head[place].text):
            points[place] -= 1.0
    order = sorted(range(len(head)), key=lambda place: points[place], reverse=True)
    best = order[0]
    if points[best] <= 0:
        return Name(None, (), 0.0)
    best, text, taken = _brand(head, best, points, body)
    rival = next((points[place] for place in order if place not in taken and not _same(head[place], head[best])), 0.0)
    if not text:
        return Name(None, (), 0.0)
    certain = 0.45 + 0.1 * min(points[best], 3.0) + 0.13 * min(max(points[best] - rival, 0.0), 1.5)
    read = min(head[place].score for place in taken)
    sure = min(0.97, certain) * min(1.0, 0.25 + 0.8 * read)
    if sure < _LEAST:
        return Name(None, (), 0.0)
    return Name(text, tuple(head[place].row for place in taken), sure)


def _above_address(head: Sequence[_Line]) -> list[int]:
    """Return the lines directly above the first line of an address, without gaps."""
    first = next((place for place, line in enumerate(head) if _is_street(line.text)), 0)
    found = []
    for place in range(first - 1, -1, -1):
        if head[place].letters < 3 or _is_noise(head[place].text) or head[place + 1].row - head[place].row > 1:
            break
        found.append(place)
    return found


def _head(rows: Sequence[Row]) -> list[_Line]:
    """Return the stretches of text above the first amount. Pieces far apart in a row are separate stretches."""
    head: list[_Line] = []
    for index, row in enumerate(rows[:_HEAD]):
        named = any(line.letters > 3 and not _is_noise(line.text) for line in head)
        if named and _has("body", row.text):
            break
        run: list[Piece] = []
        for piece in row.pieces:
            if run and _apart(run[-1], piece):
                head.append(_line(run, index))
                run = []
            run.append(piece)
        head.append(_line(run, index))
    return head


def _apart(one: Piece, other: Piece) -> bool:
    """Return whether two pieces of a row are separate texts: far apart, or a name beside small print or an address."""
    small, large = sorted((one.height, other.height))
    far = other.left - one.right > 1.5 * small or large > 2.0 * small
    return far or (is_address(other.text) and not is_address(one.text))


def _line(run: Sequence[Piece], row: int) -> _Line:
    text = " ".join(piece.text for piece in run)
    named = _patterns()["greeting"].sub("", text)
    return _Line(
        named if sum(map(str.isalpha, named)) >= 3 and not is_address(named) else text,
        row,
        max(piece.height for piece in run),
        min(piece.score for piece in run),
        run[0].left,
        run[-1].right,
    )


def is_address(text: str) -> bool:
    """Return whether a line of text is part of an address."""
    if _has("address", text):
        return True
    found = [word for word in fold(text).split() if not word.isdigit()]
    return bool(found) and sum(word in _places() for word in found) > len(found) / 2 and not _has("legal", text)


def _is_street(text: str) -> bool:
    return is_address(text) and not _is_noise(text)


def _points(line: _Line, body: float, rest: Sequence[str], *, above: int) -> float:
    """Return the points of a line as the name. `above`: the number of lines before it that may be names."""
    text = tidy(line.text)
    letters = sum(map(str.isalpha, text))
    if letters < 2 or line.score < 0.6:
        return -9.0
    legal = _has("legal", text) and sum(map(str.isalpha, _patterns()["legal"].sub("", text))) >= 3
    points = 1.6 - 0.2 * above - 0.1 * (line.row - above)
    points += 1.5 if legal else 0.6 if _has("firm", text) else 0.0
    points += 0.15 if _has("trade", text) else 0.0
    beside_it = is_beside(text)
    points += -1.8 if beside_it else min(1.4, max(0.0, 0.9 * (line.height / body - 1.15)))
    points -= 1.2 if sum(map(str.isdigit, text)) > 0.3 * len(text) else 0.0
    points -= 0.6 if letters == 2 else 0.0
    points -= 2.5 * (0.9 - line.score) + 0.2 if line.score < 0.9 else 0.0
    points -= 0.6 if len(text) > 42 else 0.0
    if not legal and len(text.split()) >= 3 and _has("slogan", text):
        points -= 0.2 if _has("trade", text) else 0.8
    points -= 2.0 if _foreign(text) and not _foreign("".join(rest)) else 0.0
    points -= (
        0.5 if not legal and re.search(r"[!?]|[a-z](?<!rest)(?<!dept)(?<!bros)\.\s*$|, ", text, re.IGNORECASE) else 0.0
    )
    points -= 1.5 if line.text.lstrip()[:1] in set("([{<") else 0.0
    points -= 3.0 if _PRICED.search(text) else 0.0
    points -= 0.8 if _SENTENCE.search(text) or _has("kind", text) else 0.0
    return points + _repeated(line, text, rest)


def _foreign(text: str) -> bool:
    """Return whether a text is mostly not in Latin letters. Among Latin text it is a misread picture."""
    letters = [mark for mark in text if mark.isalpha()]
    return sum(mark > "\u024f" for mark in letters) > 0.3 * len(letters)


def _repeated(line: _Line, text: str, rest: Sequence[str]) -> float:
    """Return points for a name that occurs again: in the web site, the greeting, or the card slip."""
    key = fold(text).replace(" ", "")
    if len(key) < 4:
        return 0.0
    return 0.6 if any(key in other for row, other in enumerate(rest) if row > line.row) else 0.0


def _brand(head: Sequence[_Line], best: int, points: Sequence[float], body: float) -> tuple[int, str | None, list[int]]:
    """Return the best line, the complete name and its lines.

    Of a logo and a full name that begins with it, the logo is used if it is large, else the full name.
    """
    for place in range(len(head)):
        logo, full = (place, best) if _has("legal", head[best].text) else (best, place)
        if place == best or not _has("legal", head[full].text) or points[full] < 0:
            continue
        large = head[logo].height >= _LOGO * max(body, 0.9 * head[full].height)
        if not _begins(head[full], head[logo], 0.6 if large else 0.7):
            continue
        if large:
            return logo, tidy(_spelled(head[logo].text, head[full].text)), [logo]
        return full, tidy(" ".join(head[one].text for one in _joined(head, full, points))), [full]
    taken = _joined(head, best, points)
    return best, tidy(" ".join(head[place].text for place in taken)), taken


def _begins(full: _Line, logo: _Line, alike: float) -> bool:
    """Return whether the full name begins with the logo, with a similarity of at least `alike` (0 to 1)."""
    whole, start = fold(full.text).replace(" ", ""), fold(logo.text).replace(" ", "")
    if len(start) < 3 or len(start) > 0.8 * len(whole):
        return False
    return whole[:2] == start[:2] and SequenceMatcher(None, whole[: len(start)], start).ratio() >= alike


def _spelled(logo: str, full: str) -> str:
    """Return the logo in the spelling of the full name, if it was misread."""
    start = fold(logo).replace(" ", "")
    if fold(full).replace(" ", "").startswith(start):
        return logo
    name = ""
    for word in full.split():
        if name and len(fold(name + word).replace(" ", "")) > len(start) + 1:
            break
        name = f"{name} {word}".strip()
    return name


def _joined(head: Sequence[_Line], best: int, points: Sequence[float]) -> list[int]:
    """Return the lines of the name, with a legal form on a separate line, the rest after "&", or a second logo line."""
    taken = [best]
    after = best + 1
    if after < len(head) and (
        (_only_form(head[after].text) and not _has("legal", head[best].text) and not is_beside(head[after].text))
        or (_unfinished(head[best].text) and not is_address(head[after].text))
        or _twins(head, best, after, points)
    ):
        taken.append(after)
    while taken[0] > 0 and len(taken) < _MOST_LINES and _goes_before(head, taken, points):
        taken.insert(0, taken[0] - 1)
    return taken


def _goes_before(head: Sequence[_Line], taken: Sequence[int], points: Sequence[float]) -> bool:
    """Return whether the name begins in the line above the ones taken."""
    before, text = taken[0] - 1, " ".join(head[place].text for place in taken)
    if _only_form(text):
        return points[before] > -0.5
    return (_unfinished(head[before].text) and points[before] > -1) or _twins(head, before, taken[0], points)


def _only_form(text: str) -> bool:
    """Return whether a line can only end a name: a legal form, a trade, a bracket that another line opened."""
    if text.count(")") > text.count("("):
        return True
    bare = re.sub(r"\([^)]*\)", lambda inside: inside[0] if _has("legal", inside[0]) else "", text)
    bare = re.sub(r"\bco\b\.?|&", "", bare, flags=re.IGNORECASE)
    for name in ("legal", "firm", "trade"):
        bare = _patterns()[name].sub("", bare)
    return (_has("legal", text) or _has("firm", text) or _has("trade", text)) and sum(map(str.isalpha, bare)) < 3


def _unfinished(text: str) -> bool:
    open_ended = re.search(r"(&|-|\band|\bof|\bthe)\s*$", text, re.IGNORECASE) is not None
    return (open_ended or _has("lead", text)) and not _has("legal", text)


def _twins(head: Sequence[_Line], first: int, second: int, points: Sequence[float]) -> bool:
    """Return whether two lines are one name: single words of one size, one below or beside the other."""
    one, other = head[first], head[second]
    alike = 0.8 < one.height / other.height < 1.25 and abs(points[first] - points[second]) < 1.0
    single = all(len(line.text.split()) == 1 and line.letters >= 4 for line in (one, other))
    return alike and single and min(points[first], points[second]) > 0.5 and not _same(one, other)


def _same(one: _Line, other: _Line) -> bool:
    first, second = fold(one.text).replace(" ", ""), fold(other.text).replace(" ", "")
    return first in second or second in first or SequenceMatcher(None, first, second).ratio() > 0.8


def tidy(text: str) -> str:
    """Return a name without registration numbers, stars and dashes at its ends."""
    text = _patterns()["registration"].sub("", re.sub(r"\s+", " ", text))
    return letters_for_digits(text.strip(" \t*#-–—=_:;,·•|~<>").removeprefix(".").strip())
