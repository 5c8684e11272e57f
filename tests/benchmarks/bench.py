"""The input and the result of every figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.benchmarks.spread import Goal, Spread


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The options of a measurement."""

    runs: int
    quick: bool
    """Whether to use shorter runs and fewer cases."""
    scratch: Path
    tell: Callable[[str], None]
    """Called with a description of the current measurement, for the progress display."""

    def of(self, usual: int, quick: int) -> int:
        """Return `quick` for a quick bench, else `usual`."""
        return quick if self.quick else usual


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    seen: Spread
    unit: str
    digits: int
    goal: Goal | None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, or None without a goal."""
        return self.goal.met(round(self.seen.median, self.digits)) if self.goal else None

    def described(self) -> dict[str, Any]:
        """Return the row for JSON."""
        told: dict[str, Any] = dict(self.seen.rounded(self.digits))
        if self.what:
            told |= {"what": self.what, "unit": self.unit}
        if self.goal:
            told |= {"goal": str(self.goal), "met": self.met}
        return told


@dataclass
class Result:
    """The measurements of one figure."""

    medians: dict[str, Any] = field(default_factory=dict)
    spreads: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    """Additional tables to print."""

    def add(
        self, *path: str, of: Sequence[float], what: str = "", unit: str = "", digits: int = 2, goal: Goal | None = None
    ) -> Spread:
        """Add the runs of one figure: to the JSON under `path`, to the table as `what`. Return their spread."""
        row = Row(what, Spread.of(of), unit, digits, goal)
        _put(self.medians, path, round(row.seen.median, digits))
        _put(self.spreads, path, row.described())
        if what:
            self.rows.append(row)
        return row.seen

    def join(self, other: "Result") -> None:
        """Add the measurements of another figure."""
        self.medians |= other.medians
        self.spreads |= other.spreads
        self.rows += other.rows
        self.tables += other.tables


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value
