"""Labels: the kind of an amount, by the words before it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from worker.reader.words import Vocabulary, data, words


class Kind(StrEnum):
    """The kind of an amount."""

    TOTAL = "total"
    SUBTOTAL = "subtotal"
    TAX = "tax"
    DISCOUNT = "discount"
    SAVING = "saving"
    TIP = "tip"
    SERVICE = "service"
    ROUNDING = "rounding"
    CASH = "cash"
    CARD = "card"
    PAID = "paid"
    CHANGE = "change"
    COUNT = "count"
    POINTS = "points"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Label:
    """The kind that a text announces, and how strongly it announces a total (0 to 3).

    `languages`: the languages of the recognised words. `whole`: the text has no other words.
    """

    kind: Kind
    strength: float = 0.0
    languages: tuple[str, ...] = ()
    whole: bool = False


NO_LABEL = Label(Kind.NONE)


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary of labels."""
    return Vocabulary(data("words.toml"))


@lru_cache(maxsize=10_000)
def label(text: str) -> Label:
    """Return the label that the words of `text` are for the amount after them.

    If a text announces several kinds ("Qty 1 Total"), the last one counts.
    """
    found = list(vocabulary().find(text))
    if not found:
        return NO_LABEL
    classes: dict[str, int] = {}
    for name, _, _, last in found:
        classes[name] = max(classes.get(name, -1), last)
    languages = tuple(sorted({language for _, language, _, _ in found}))
    all_words = words(text)
    kind, strength = _kind(classes, all_words)
    covered = {place for _, _, first, last in found for place in range(first, last + 1)}
    whole = all(place in covered for place, word in enumerate(all_words) if word.isalpha())
    return Label(kind, strength, languages, whole)


class _LabelWords:
    """The classes of words in a text, and the last position of each."""

    def __init__(self, at: dict[str, int], all_words: list[str]) -> None:
        self.at = at
        self.all_words = all_words

    def __contains__(self, name: str) -> bool:
        return name in self.at

    def after(self, name: str, other: str) -> bool:
        """Return whether `name` occurs, and not before `other`."""
        return name in self.at and self.at[name] >= self.at.get(other, -1)

    def ends_with(self, name: str) -> bool:
        """Return whether no word comes after `name`."""
        return name in self.at and not any(word.isalpha() for word in self.all_words[self.at[name] + 1 :])

    def total_strength(self) -> float:
        """Return how strongly the text announces a total."""
        taxed = 0.5 if "incl" in self and "tax" in self else 0.0
        return 2.0 + (0.7 if "strong" in self else 0.0) + taxed + (0.3 if len(self.all_words) <= 3 else 0.0)


_Rule = tuple[Callable[[_LabelWords], bool], Kind, Callable[[_LabelWords], float]]


def _none(_: _LabelWords) -> float:
    return 0.0


_RULES: tuple[_Rule, ...] = (
    (lambda said: said.after("change", "total"), Kind.CHANGE, _none),
    (lambda said: "count" in said and "incl" not in said and _counts(said), Kind.COUNT, _none),
    (lambda said: "saving" in said, Kind.SAVING, _none),
    (lambda said: "rounding" in said and not ("strong" in said and "total" in said), Kind.ROUNDING, _none),
    (lambda said: "points" in said and "total" not in said and "discount" not in said, Kind.POINTS, _none),
    (lambda said: "excl" in said and ("total" in said or "tax" in said), Kind.SUBTOTAL, lambda _: 0.5),
    (lambda said: "total" in said and "strong" not in said and _of_taxes(said), Kind.TAX, _none),
    (lambda said: "sub" in said and not said.after("strong", "sub"), Kind.SUBTOTAL, lambda _: 1.0),
    (lambda said: said.after("discount", "total"), Kind.DISCOUNT, _none),
    (lambda said: said.ends_with("tip"), Kind.TIP, _none),
    (lambda said: said.after("service", "total") and "tax" not in said, Kind.SERVICE, _none),
    (lambda said: said.after("cash", "total"), Kind.CASH, _none),
    (lambda said: said.after("card", "total"), Kind.CARD, _none),
    (lambda said: "total" in said, Kind.TOTAL, _LabelWords.total_strength),
    (lambda said: "tax" in said, Kind.TAX, _none),
    (lambda said: "paid" in said, Kind.PAID, lambda _: 1.0),
    (lambda said: "weak" in said, Kind.TOTAL, lambda said: 1.6 if "strong" in said else 0.8),
    (lambda said: "service" in said, Kind.SERVICE, _none),
)
"""The rules for the kind. The first one that applies decides."""


def _counts(said: _LabelWords) -> bool:
    """Return whether the label announces a count: "Total Qty" does, "Total 3 items" and "Subtotal (Qty 4)" do not."""
    if ("total" in said or "sub" in said) and any(map(str.isdigit, said.all_words[said.at["count"] + 1 :])):
        return False
    if "total" not in said:
        return True
    between = said.all_words[said.at["total"] : said.at["count"]]
    return said.at["count"] > said.at["total"] and not any(word.isdigit() for word in between)


def _of_taxes(said: _LabelWords) -> bool:
    return "tax" in said and "incl" not in said and said.at["tax"] > said.at["total"] - 2


def _kind(at: dict[str, int], all_words: list[str]) -> tuple[Kind, float]:
    """Return the kind and its strength by the classes found, the last word of each, and all words."""
    said = _LabelWords(at, all_words)
    return next(((kind, strength(said)) for holds, kind, strength in _RULES if holds(said)), (Kind.NONE, 0.0))
