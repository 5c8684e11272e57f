"""Statistics over several runs of one measurement, and goals."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True)
class Spread:
    """The median, the lowest and the highest of several runs."""

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of `values`. Raise ValueError if there are none."""
        if not values:
            raise ValueError("no run, no spread")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def rounded(self, digits: int) -> dict[str, float]:
        """Return the spread for JSON, rounded to `digits`."""
        return {
            "median": round(self.median, digits),
            "low": round(self.low, digits),
            "high": round(self.high, digits),
            "runs": self.runs,
        }


def quantile(values: Sequence[float], share: float) -> float:
    """Return the quantile of `values` at `share` (0 to 1), by the nearest-rank method."""
    if not values:
        raise ValueError("no value, no quantile")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True)
class Goal:
    """The bound that a figure should meet."""

    sign: Literal["<=", ">="]
    value: float

    def met(self, seen: float) -> bool:
        """Return whether `seen` meets the goal."""
        return seen <= self.value if self.sign == "<=" else seen >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"
