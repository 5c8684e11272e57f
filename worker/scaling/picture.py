"""The policies side by side in one picture; matplotlib is only here, and only loaded when a picture is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.scaling.outcome import Outcome
from worker.scaling.simulator import Run

MISSING = "a picture needs matplotlib: pip install 'receipts-worker[analysis]'"
FORMATS = (".svg", ".png")


def draw(
    path: Path, *, title: str, counts: Sequence[int], outcomes: Sequence[Outcome], runs: Mapping[str, Run]
) -> None:
    """Write an SVG or PNG file; the same numbers give the same bytes.

    Raises ValueError for another kind of file, RuntimeError where matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"picture is {path.name!r}; its name must end in {' or '.join(FORMATS)}")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RuntimeError(MISSING) from error
    with mpl.rc_context({"svg.hashsalt": "receipts", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(12, 8), layout="constrained")
        figure.suptitle(title)
        ((uploads, waits), (tasks, costs)) = figure.subplots(2, 2)
        colours = {outcome.name: f"C{number}" for number, outcome in enumerate(outcomes)}
        _uploads_and_age(uploads, counts, outcomes, runs, colours)
        _tasks(tasks, counts, outcomes, runs, colours)
        _waits(waits, outcomes, colours)
        _hours(costs, outcomes, colours)
        figure.legend(*tasks.get_legend_handles_labels(), loc="outside lower center", ncols=len(outcomes))
        stable = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        figure.savefig(path, metadata=stable, dpi=110)


def _hours_of(run: Run) -> list[float]:
    return [(number + 1) / 60 for number in range(len(run.minutes))]


def _uploads_and_age(
    axes: Any, counts: Sequence[int], outcomes: Sequence[Outcome], runs: Mapping[str, Run], colours: Mapping[str, str]
) -> None:
    axes.set_title("Age of the oldest waiting message; uploads a minute in grey")
    uploads = axes.twinx()
    uploads.fill_between([minute / 60 for minute in range(len(counts))], counts, color="0.85", step="post")
    uploads.set_ylabel("uploads a minute")
    axes.set_zorder(uploads.get_zorder() + 1)
    axes.patch.set_visible(False)
    for outcome in outcomes:
        run = runs[outcome.name]
        axes.plot(
            _hours_of(run), [max(minute.oldest_s, 1.0) for minute in run.minutes], color=colours[outcome.name], lw=1
        )
    axes.set_yscale("log")
    axes.set(xlabel="hours", ylabel="seconds", xlim=(0, len(counts) / 60), ylim=(1, None))


def _tasks(
    axes: Any, counts: Sequence[int], outcomes: Sequence[Outcome], runs: Mapping[str, Run], colours: Mapping[str, str]
) -> None:
    axes.set_title("Tasks")
    for outcome in outcomes:
        run = runs[outcome.name]
        running = [minute.running for minute in run.minutes]
        axes.step(_hours_of(run), running, color=colours[outcome.name], label=outcome.name, where="post", lw=1)
    axes.set(xlabel="hours", xlim=(0, len(counts) / 60), ylim=(0, None))


def _waits(axes: Any, outcomes: Sequence[Outcome], colours: Mapping[str, str]) -> None:
    axes.set_title("Time to result: median to 99 % as a line, 95 % as a dot")
    for row, outcome in enumerate(outcomes):
        colour = colours[outcome.name]
        axes.plot([outcome.p50_s, outcome.p99_s], [row, row], color=colour, lw=3, solid_capstyle="round")
        axes.plot([outcome.p95_s], [row], "o", color=colour)
        axes.annotate(f" {outcome.p95_s:,.0f} s", (outcome.p95_s, row), xytext=(0, 5), textcoords="offset points")
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set(xlabel="seconds", yticks=range(len(outcomes)), yticklabels=[o.name for o in outcomes])
    axes.invert_yaxis()


def _hours(axes: Any, outcomes: Sequence[Outcome], colours: Mapping[str, str]) -> None:
    axes.set_title("Task-hours, and what the fleet costs")
    rows = range(len(outcomes))
    bars = axes.barh(rows, [o.task_hours for o in outcomes], color=[colours[o.name] for o in outcomes])
    axes.bar_label(bars, [f" {o.task_hours:,.1f} h, ${o.fleet_usd:,.2f}" for o in outcomes])
    axes.set(xlabel="task-hours", yticks=rows, yticklabels=[o.name for o in outcomes])
    axes.margins(x=0.2)
    axes.invert_yaxis()
