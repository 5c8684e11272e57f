"""Words: recognises the words of labels in many languages, even with a misread letter.

The vocabulary is data (data/words.toml): classes such as "total" or "change", each with words by language.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

_ALIKE: Final = str.maketrans(
    {"0": "o", "1": "l", "|": "l", "!": "l", "5": "s", "8": "b", "$": "s", "€": "e", "@": "a"}
)
_FUZZY_FROM, _LONG, _VERY_LONG = 5, 7, 10


def data(name: str) -> dict[str, Any]:
    """Return the content of one of the reader's data files."""
    return tomllib.loads((files("worker.reader") / "data" / name).read_text("utf-8"))


def fold(text: str) -> str:
    """Return `text` in lower case, without accents or punctuation, words one blank apart."""
    flat = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("ł", "l")).lower()
    letters = "".join(mark for mark in flat if not unicodedata.combining(mark))
    return " ".join(re.sub(r"[^\w%]+|_", " ", re.sub(r"(?<=\w)['’`´.](?=\w)", "", letters)).split())


def words(text: str) -> list[str]:
    """Return the folded words of a text. Digits among letters become the letters that they resemble."""
    return [_letters(word) for word in fold(text).split()]


def _letters(word: str) -> str:
    if word.isdigit() or word.isalpha():
        return word
    return word.translate(_ALIKE) if sum(map(str.isalpha, word)) >= 2 else word


def letters_for_digits(text: str) -> str:
    """Return `text` with O for each 0 in a word of capital letters ("L0TION", "0ATS", "12 0Z")."""
    text = re.sub(r"(?<=[A-Z])0(?=[A-Z])|\b0(?=[A-Z]{2})|(?<=\d)0(?=Z\b)|\b0(?=Z\b)", "O", text)
    return re.sub(r"(?<=[A-Z]{2})0(?![\dA-Z])", "O", text)


def near(one: str, other: str) -> bool:
    """Return whether two folded words differ by at most one letter, or two in a long word.

    Words of fewer than five letters must be equal. Words of fewer than seven must begin with the same letter.
    """
    if one == other:
        return True
    shorter = min(len(one), len(other))
    if shorter < _FUZZY_FROM or abs(len(one) - len(other)) > 1 or (shorter < _LONG and one[0] != other[0]):
        return False
    return _distance_within(one, other, 1 if shorter < _VERY_LONG else 2)


def _distance_within(one: str, other: str, limit: int) -> bool:
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, mark in enumerate(other, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != mark)))
        if min(now) > limit:
            return False
        before = now
    return before[-1] <= limit


class Vocabulary:
    """Classes of words and phrases that can be searched for in a text."""

    def __init__(self, classes: dict[str, dict[str, list[str]]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], bool, str, str]]] = {}
        self._known: set[str] = set()
        self._signs: list[tuple[str, str, str]] = []
        for name, languages in classes.items():
            for language, phrases in languages.items():
                for phrase in phrases:
                    if phrase.isascii():
                        parts = tuple(words(phrase.removeprefix("=")))
                        self._add(parts, phrase.startswith("="), name, language)
                        if len(parts) > 1 and len("".join(parts)) >= _LONG:  # OCR may miss the blanks
                            self._add(("".join(parts),), phrase.startswith("="), name, language)
                    else:
                        self._signs.append((phrase, name, language))
        self._firsts = lru_cache(maxsize=20_000)(self._near_firsts)

    def _add(self, parts: tuple[str, ...], whole: bool, name: str, language: str) -> None:
        self._known.update(parts)
        self._by_first.setdefault(parts[0], []).append((parts, whole, name, language))

    def _near_firsts(self, word: str) -> tuple[str, ...]:
        """Return the first words of phrases that `word` may be. A known word ("charge") is not a misread other one."""
        if word in self._known:
            return (word,) if word in self._by_first else ()
        return tuple(first for first in self._by_first if near(word, first))

    def find(self, text: str) -> Iterator[tuple[str, str, int, int]]:
        """Yield class, language, and positions of the first and last word of every match in `text`."""
        found = words(text)
        for start, word in enumerate(found):
            for first in self._firsts(word):
                for parts, whole, name, language in self._by_first[first]:
                    rest = found[start + 1 : start + len(parts)]
                    fits = len(rest) == len(parts) - 1 and all(map(near, rest, parts[1:]))
                    if fits and not (
                        whole and any(other.isalpha() for other in (*found[:start], *found[start + len(parts) :]))
                    ):
                        yield name, language, start, start + len(parts) - 1
        for sign, name, language in self._signs:
            if sign in text:
                yield name, language, 0, 0
