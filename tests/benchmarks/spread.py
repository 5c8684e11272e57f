"""What several runs of one measurement say: their median, and how far apart they lie."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True)
class Spread:
    """The median of some runs with the lowest and the highest."""

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of `values`; `ValueError` where there are none."""
        if not values:
            raise ValueError("no run, no spread")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def rounded(self, digits: int) -> dict[str, float]:
        """Return it for JSON."""
        return {
            "median": round(self.median, digits),
            "low": round(self.low, digits),
            "high": round(self.high, digits),
            "runs": self.runs,
        }


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that a `share` of them (0 to 1) do not exceed: the nearest-rank method."""
    if not values:
        raise ValueError("no value, no quantile")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True)
class Goal:
    """What a figure should reach."""

    sign: Literal["<=", ">="]
    value: float

    def met(self, seen: float) -> bool:
        """Tell whether `seen` reaches it."""
        return seen <= self.value if self.sign == "<=" else seen >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"
