"""The comparison of policies as one picture. Only this module uses matplotlib, and loads it only when it draws.

Each policy is a row: tasks over the day, age of waiting messages, time to result, task-hours. All rows of a column
share one scale, so that they can be compared. Eight lines in one frame would be unreadable.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.workbench.scaling.contenders import OURS
from worker.workbench.scaling.outcome import Outcome
from worker.workbench.scaling.simulator import Minute, Run

MISSING = "a picture needs matplotlib: pip install 'receipts-worker[analysis]'"
FORMATS = (".svg", ".png")

OURS_COLOUR, COLOUR, ARRIVALS = "#d9480f", "#1f6f8b", "0.85"
SECONDS = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3_600: "1 h", 36_000: "10 h", 360_000: "100 h"}
"""Ticks of the time axis; longer times are drawn at the last one."""
SHORTEST = 60
"""Fewest minutes to show, so that the queue of a short day is seen to drain."""
FINEST = 240
"""Most points across a day: more would not be visible, and an SVG stores each of them."""


def check(path: Path) -> None:
    """Refuse a picture that cannot be drawn, before the simulation.

    Raises ValueError for another file type or a place that cannot be written, RuntimeError without matplotlib.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"picture is {path.name!r}; its name must end in {' or '.join(FORMATS)}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"picture is {str(path)!r}, which cannot be written")
    try:
        import matplotlib  # noqa: F401, ICN001 - only to check that it is installed
    except ImportError as error:
        raise RuntimeError(MISSING) from error


def draw(
    path: Path, *, title: str, counts: Sequence[int], outcomes: Sequence[Outcome], runs: Mapping[str, Run]
) -> None:
    """Write the SVG or PNG file, which `check` has accepted. The same numbers give the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    stable = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "receipts", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(12, 1.2 + 0.85 * len(outcomes)), layout="constrained")
        figure.suptitle(title, weight="bold")
        grid = figure.subplots(
            len(outcomes), 4, sharex="col", sharey="col", squeeze=False, width_ratios=(3, 3, 2.4, 1.8)
        )
        span = max(len(counts), SHORTEST)
        for (tasks, age, results, spent), outcome in zip(grid, outcomes, strict=True):
            run, colour = runs[outcome.name], OURS_COLOUR if outcome.name == OURS else COLOUR
            tasks.set_ylabel(outcome.name, rotation=0, ha="right", va="center", color=colour)
            _tasks(tasks, run.minutes[:span], counts, colour)
            _age(age, run.minutes[:span], colour)
            _results(results, outcome, colour)
            _spent(spent, outcome, colour)
        _frame(grid, hours=span / 60)
        figure.savefig(path, metadata=stable, dpi=110)


def _tasks(axes: Any, minutes: Sequence[Minute], counts: Sequence[int], colour: str) -> None:
    behind = axes.twinx()
    behind.fill_between(*_changes(*_highest(counts)), color=ARRIVALS, step="post", lw=0)
    behind.set(ylim=(0, 1.05 * max(*counts, 1)), yticks=())
    behind.spines[:].set_visible(False)
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    hours = [number / 60 for number in range(len(minutes))]
    axes.step(*_changes(hours, [minute.running for minute in minutes]), color=colour, where="post", lw=1)


def _age(axes: Any, minutes: Sequence[Minute], colour: str) -> None:
    hours, ages = _highest([max(minute.oldest_s, 1) for minute in minutes])
    axes.fill_between(hours, ages, 1, color=colour, alpha=0.6, lw=0)


def _results(axes: Any, outcome: Outcome, colour: str) -> None:
    middle, most, tail = (min(max(s, 1), max(SECONDS)) for s in (outcome.p50_s, outcome.p95_s, outcome.p99_s))
    axes.plot([middle, tail], [0, 0], color=colour, lw=4, alpha=0.5, solid_capstyle="butt")
    axes.plot([most], [0], "o", color=colour, ms=5)
    said = "never" if outcome.p95_s == math.inf else f"{outcome.p95_s:,.0f} s"
    axes.annotate(said, (most, 0), xytext=(0, 6), textcoords="offset points", ha="center")


def _spent(axes: Any, outcome: Outcome, colour: str) -> None:
    axes.barh([0], [outcome.task_hours], color=colour, height=0.5)
    said = f"{outcome.task_hours:,.1f} h, ${outcome.fleet_usd:,.2f}"
    axes.annotate(said, (outcome.task_hours, 0), xytext=(3, 0), textcoords="offset points", va="center")


def _frame(grid: Any, *, hours: float) -> None:
    """Set the headings and the common scale of each column."""
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
    headings = ("tasks (uploads in grey)", "age of the oldest waiting message", "to result: 50 to 99 %, dot 95 %")
    for axes, heading in zip(grid[0], (*headings, "task-hours"), strict=True):
        axes.set_title(heading, loc="left")
    tasks, age, results, spent = grid[-1]
    tasks.yaxis.get_major_locator().set_params(integer=True)
    tasks.set(xlabel="hours", xlim=(0, hours), ylim=(0, max(tasks.get_ylim()[1], 1)))
    age.set(xlabel="hours", xlim=(0, hours), yscale="log")
    age.set_yticks([1, 60, 3_600], [SECONDS[1], SECONDS[60], SECONDS[3_600]])
    age.set_ylim(1, max(age.get_ylim()[1], 600))
    results.set(xscale="log", ylim=(-0.8, 1.2), yticks=())
    longest = max(results.get_xlim()[1], 60)
    results.set_xticks(list(SECONDS), list(SECONDS.values()))
    results.set_xlim(1, 2 * longest)
    for axes in grid[:, 2]:
        axes.grid(visible=True, axis="x", color="0.9")
        axes.set_axisbelow(True)
    for axes in (age, results):
        axes.minorticks_off()
    spent.set(xlim=(0, 1.8 * max(spent.get_xlim()[1], 0.1)), xticks=(), ylim=(-1, 1), yticks=())


def _highest(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return hours and the highest value of each interval: one minute, or longer to have at most FINEST of them."""
    width = math.ceil(len(values) / FINEST) or 1
    begins = range(0, len(values), width)
    return [begin / 60 for begin in begins], [max(values[begin : begin + width]) for begin in begins]


def _changes(hours: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the points of a stepped line at which it changes, with the first and the last one."""
    last = len(values) - 1
    kept = [n for n, value in enumerate(values) if n in (0, last) or value != values[n - 1]]
    return [hours[n] for n in kept], [values[n] for n in kept]
