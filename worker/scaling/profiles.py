"""When receipts are uploaded: counts a minute for typical days or from a file, and upload times drawn from them."""

import csv
import itertools
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

HOUR = 60
"""Minutes."""


def constant(minute: int) -> float:
    """Weigh every minute the same."""
    return 1.0 if minute >= 0 else 0.0


def burst(minute: int) -> float:
    """Weigh a quiet stream, and after one hour ten minutes that bring nine tenths of everything."""
    return 0.9 / 10 if HOUR <= minute < HOUR + 10 else 0.1 / (6 * HOUR - 10)


def daily(minute: int) -> float:
    """Weigh a day of shoppers: little at night, peaks after lunch and in the evening."""
    hour = minute / HOUR
    lunch = math.exp(-(((hour - 13) / 2.2) ** 2))
    evening = math.exp(-(((hour - 19) / 2.0) ** 2))
    return 0.05 + lunch + 1.3 * evening


def monday(minute: int) -> float:
    """Weigh the morning after a weekend: silence, at eight everybody's receipts at once, then office hours."""
    hour = minute / HOUR
    if 8 <= hour < 8.5:
        return 8.0
    return 1.0 if 8.5 <= hour < 18 else 0.0


PROFILES: dict[str, tuple[Callable[[int], float], int, int]] = {
    "constant": (constant, 4 * HOUR, 160_000),
    "burst": (burst, 6 * HOUR, 40_000),
    "daily": (daily, 24 * HOUR, 1_000_000),
    "monday": (monday, 24 * HOUR, 400_000),
}
"""Name to weight of a minute, length in minutes, uploads where nobody says how many."""


def counts_a_minute(profile: str, *, uploads: int | None = None) -> list[int]:
    """Spread `uploads` over the profile's minutes; the counts add up to it exactly."""
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(PROFILES)}")
    weight, minutes, usual = PROFILES[profile]
    total = usual if uploads is None else uploads
    weights = [weight(minute) for minute in range(minutes)]
    share = total / sum(weights)
    passed = [round(share * upto) for upto in itertools.accumulate(weights, initial=0.0)]
    return [after - before for before, after in itertools.pairwise(passed)]


def read_counts(path: Path) -> list[int]:
    """Read one count a minute from the last column of a CSV file; a first row without a number is its heading."""
    counts: list[int] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or (number == 1 and not row[-1].strip().isdigit()):
                continue
            if not row[-1].strip().isdigit():
                raise ValueError(f"{path}:{number}: {row[-1]!r} is no count; the last column holds uploads a minute")
            counts.append(int(row[-1]))
    if not any(counts):
        raise ValueError(f"{path}: no uploads in it; the last column holds uploads a minute, one row a minute")
    return counts


def upload_times(counts: Sequence[int], *, seed: int) -> list[float]:
    """Draw seconds from the start, ascending: within its minute every upload falls anywhere."""
    draw = random.Random(seed).random  # noqa: S311 - a simulation wants to be repeatable, not secret
    times: list[float] = []
    for minute, count in enumerate(counts):
        start = 60.0 * minute
        times += sorted([start + 60.0 * draw() for _ in range(count)])
    return times
