"""What every figure is given, and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.benchmarks.spread import Goal, Spread


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How to measure."""

    runs: int
    quick: bool
    """Whether shorter runs and fewer cases will do."""
    scratch: Path
    tell: Callable[[str], None]
    """Takes what is being measured, for somebody who watches."""

    def of(self, usual: int, quick: int) -> int:
        """Return how much to do."""
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
        """Whether the goal is reached, None where there is none."""
        return self.goal.met(round(self.seen.median, self.digits)) if self.goal else None

    def described(self) -> dict[str, Any]:
        """Return it for JSON: all that a reader needs to show it."""
        told: dict[str, Any] = dict(self.seen.rounded(self.digits))
        if self.what:
            told |= {"what": self.what, "unit": self.unit}
        if self.goal:
            told |= {"goal": str(self.goal), "met": self.met}
        return told


@dataclass
class Result:
    """What came out of one figure."""

    medians: dict[str, Any] = field(default_factory=dict)
    spreads: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    """What is better read as a table of its own."""

    def add(
        self, *path: str, of: Sequence[float], what: str = "", unit: str = "", digits: int = 2, goal: Goal | None = None
    ) -> Spread:
        """Keep the runs of one figure: in the JSON under `path`, in the table as `what`; return their spread."""
        row = Row(what, Spread.of(of), unit, digits, goal)
        _put(self.medians, path, round(row.seen.median, digits))
        _put(self.spreads, path, row.described())
        if what:
            self.rows.append(row)
        return row.seen

    def join(self, other: "Result") -> None:
        """Take over another figure's."""
        self.medians |= other.medians
        self.spreads |= other.spreads
        self.rows += other.rows
        self.tables += other.tables


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value
