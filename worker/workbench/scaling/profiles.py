"""Profiles of uploads: counts per minute for typical days or from a file, and upload times drawn from them."""

import csv
import datetime as dt
import itertools
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from worker.workbench.scaling.ranges import require_whole

HOUR = 60
"""Minutes per hour."""

MAX_UPLOADS = 20_000_000
"""Each upload takes 160 bytes in the simulation. To simulate more, simulate a share and multiply."""
MAX_MINUTES = 366 * 24 * HOUR
MAX_DIGITS = 18
"""Digits of a count that are read; longer counts exceed MAX_UPLOADS in any case."""

_NUMBER = re.compile(r"[-+]?[.,]?\d")


def constant(minute: int) -> float:
    """Return equal weights for all minutes."""
    return 1.0 if minute >= 0 else 0.0


def burst(minute: int) -> float:
    """Return the weights of a quiet stream with a burst after one hour: nine tenths of all uploads in ten minutes."""
    return 0.9 / 10 if HOUR <= minute < HOUR + 10 else 0.1 / (6 * HOUR - 10)


def daily(minute: int) -> float:
    """Return the weights of a shopping day: little at night, peaks after lunch and in the evening."""
    hour = minute / HOUR
    lunch = math.exp(-(((hour - 13) / 2.2) ** 2))
    evening = math.exp(-(((hour - 19) / 2.0) ** 2))
    return 0.05 + lunch + 1.3 * evening


def monday(minute: int) -> float:
    """Return the weights of a Monday: silence, a rush at eight with the weekend's receipts, then office hours."""
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
"""Name to weight per minute, length in minutes, and default number of uploads."""


def counts_a_minute(profile: str, *, uploads: int | None = None) -> list[int]:
    """Return `uploads` spread over the profile's minutes; the counts add up to it exactly."""
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(PROFILES)}")
    weight, minutes, usual = PROFILES[profile]
    return spread([weight(minute) for minute in range(minutes)], uploads=usual if uploads is None else uploads)


def spread(weights: Sequence[float], *, uploads: int) -> list[int]:
    """Return `uploads` spread over minutes by their weights; the counts add up to it exactly."""
    require_whole("uploads", uploads, low=0, high=MAX_UPLOADS)
    share = uploads / sum(weights)
    passed = [round(share * upto) for upto in itertools.accumulate(weights, initial=0.0)]
    return [after - before for before, after in itertools.pairwise(passed)]


def read_counts(path: Path) -> list[int]:
    """Return the counts per minute in the last column of a CSV file. Raises ValueError that names the line.

    A first row that does not end in a number is a heading, and empty rows are skipped. In a file of two columns, the
    first may be the minute, as a number or an ISO 8601 time; then each row must follow the previous one by one minute.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        try:
            counts = list(_counts(rows))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a CSV file in UTF-8: {error}") from error
        except ValueError as error:
            raise ValueError(f"{path}:{rows.line_num}: {error}") from error
    if not any(counts):
        raise ValueError(f"{path}: no uploads in it; the last column must hold uploads per minute, one row per minute")
    return counts


def _counts(rows: Iterable[list[str]]) -> Iterator[int]:
    total, before = 0, None
    filled = (row for row in rows if any(map(str.strip, row)))
    for number, row in enumerate(filled):
        cell = row[-1].strip()
        if number == 0 and not _NUMBER.match(cell):
            continue
        if not (cell.isascii() and cell.isdigit()):
            raise ValueError(f"{cell[:40]!r} is not a count; the last column must hold uploads per minute")
        minute = _minute(row[0].strip()) if len(row) == 2 else None
        if minute is not None and before is not None and minute != before + 1:
            raise ValueError(f"{row[0][:40]!r} is not the next minute; each minute needs a row, even with 0 uploads")
        before = minute
        count = int(cell[:MAX_DIGITS])
        total += count
        if number > MAX_MINUTES:
            raise ValueError(f"more than {MAX_MINUTES:,} minutes; simulate at most a year")
        if total > MAX_UPLOADS:
            raise ValueError(f"more than {MAX_UPLOADS:,} uploads; simulate a share of them and multiply")
        yield count


def _minute(text: str) -> float | None:
    """Return the number of a minute, or a time in minutes; None for any other text."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() // 60


def upload_times(counts: Sequence[int], *, seed: int) -> list[float]:
    """Return random upload times, seconds from the start, ascending; each is uniform within its minute."""
    draw = random.Random(seed).random  # noqa: S311 - a simulation must be repeatable, not secret
    times: list[float] = []
    for minute, count in enumerate(counts):
        start = 60.0 * minute
        times += sorted([start + 60.0 * draw() for _ in range(count)])
    return times
