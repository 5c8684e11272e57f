"""The country of a receipt, and what follows from it: currency, language, order of dates.

The evidence is addresses, tax names and numbers, currency marks and the languages of the labels. The rules are data
(data/countries.toml). Without sufficient evidence the country is None: a sign such as $ alone does not identify one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from worker.reader.words import data, fold
from worker.receipts.currency import SIGNS

Order = Literal["dmy", "mdy", "ymd", ""]

_WORD, _PATTERN, _HINT, _MARK, _LANGUAGE = 1.0, 1.5, 0.4, 3.0, 0.12
_ENOUGH: Final = 1.0
_SHARED: Final = {"sv": frozenset({"sv", "da", "no", "fi"}), "pl": frozenset({"pl", "cs", "hu", "tr"})}
"""Languages that share one list of labels in words.toml: the country decides between them."""
_NEAR_MARK: Final = r"(?<![A-Za-z]){mark}(?![A-Za-z])"


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts about one country, with the patterns that are evidence for it."""

    code: str
    currency: str
    language: str
    order: Order
    words: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    hints: tuple[re.Pattern[str], ...]
    marks: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a receipt; fields are None or "" if the evidence does not suffice."""

    country: str | None
    currency: str | None
    language: str | None
    order: Order


@cache
def profiles() -> tuple[Profile, ...]:
    """Return the profiles of all known countries."""
    return tuple(
        Profile(
            code,
            row["currency"],
            row["language"],
            row["order"],
            frozenset(row["words"]),
            tuple(re.compile(pattern) for pattern in row["patterns"]),
            tuple(re.compile(pattern) for pattern in row.get("hints", ())),
            tuple(re.compile(_NEAR_MARK.format(mark=re.escape(mark))) for mark in row["marks"]),
        )
        for code, row in data("countries.toml").items()
    )


def origin(texts: Sequence[str], languages: Iterable[str]) -> Origin:
    """Return the origin by the evidence in the receipt's rows and the languages of its recognised labels."""
    folded = f" {' '.join(fold(text) for text in texts)} "
    spoken = Counter(languages)
    scores = {profile: _score(profile, texts, folded, spoken) for profile in profiles()}
    ranked = sorted(scores.items(), key=lambda entry: entry[1], reverse=True)
    (best, score), (_, runner_up) = ranked[0], ranked[1]
    certain = score >= _ENOUGH and score > 1.25 * runner_up
    currency = _currency(texts, best if certain else None)
    together = [profile for profile, value in ranked if value >= max(_ENOUGH, 0.6 * score)]
    orders = {profile.order for profile in together}
    return Origin(
        country=best.code if certain else None,
        currency=currency,
        language=_language(spoken, best if certain else None),
        order=best.order if certain else orders.pop() if len(orders) == 1 else "",
    )


def _score(profile: Profile, texts: Sequence[str], folded: str, spoken: Counter[str]) -> float:
    score = sum(_WORD for word in profile.words if f" {word} " in folded)
    score += sum(_PATTERN for pattern in profile.patterns if any(pattern.search(text) for text in texts))
    score += min(_ENOUGH, sum(_HINT for hint in profile.hints if any(hint.search(text) for text in texts)))
    score += sum(_MARK for mark in profile.marks if any(mark.search(text) for text in texts))
    if profile.language != "en":
        score += min(1.0, _LANGUAGE * spoken[profile.language])
    return score


def _currency(texts: Sequence[str], country: Profile | None) -> str | None:
    """Return the currency by the codes and signs on the receipt, else by the country."""
    seen: Counter[str] = Counter()
    for text in texts:
        for sign, code in SIGNS.items():
            seen[code] += text.count(sign)
        for code in re.findall(
            r"(?<![A-Za-z])(?:EUR|Euro?|EURO|USD|GBP|CHF|MYR|AED|SGD|CAD|AUD|INR|IDR|SEK|DKK|NOK|PLN)(?![A-Za-z])", text
        ):
            seen["EUR" if code.upper().startswith("EUR") else code] += 1
    seen += Counter()  # drops the zeros
    if seen:
        top = seen.most_common(1)[0][0]
        if country is None or top == country.currency or seen[top] > 1:
            return top
    if country:
        return country.currency
    return None


def _language(spoken: Counter[str], country: Profile | None) -> str | None:
    """Return the country's language if labels in it were seen, else the language of most labels."""
    if country and (spoken[country.language] >= 2 or not spoken):
        return country.language
    if not spoken:
        return None
    top, count = spoken.most_common(1)[0]
    if spoken["en"] >= count:
        return "en"
    shared = _SHARED.get(top, frozenset({top}))
    if len(shared) == 1:
        return top
    return country.language if country and country.language in shared else None
