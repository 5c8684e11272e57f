"""Calculate the figures of docs/scaling.md: `make figures` writes them, `make figures ARGS=--check` compares them.

The numbers are written to figures.json, the pictures beside it, and the tables into the documents between markers.
"""

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from worker.workbench.commands.scale import seconds
from worker.workbench.scaling.autoscaling import Autoscaler
from worker.workbench.scaling.comparison import compare
from worker.workbench.scaling.contenders import OURS, backlog_per_task, contenders
from worker.workbench.scaling.outcome import Outcome
from worker.workbench.scaling.picture import draw
from worker.workbench.scaling.plan import plan
from worker.workbench.scaling.profiles import PROFILES, counts_a_minute
from worker.workbench.scaling.scenario import EndpointModel, Scenario, WorkerModel
from worker.workbench.scaling.simulator import Run

HERE = Path(__file__).parent
DOCUMENTS = {
    HERE.parent / "scaling.md": ("equal hours", "large"),
    HERE / "tables.md": (
        *(f"profile {name}" for name in ("constant", "burst", "daily", "monday")),
        *("zero", "endpoint", "protection", "calibration"),
    ),
}
"""The names of the tables in each document."""
NUMBERS = HERE / "figures.json"
CALIBRATION = HERE / "calibration.json"
"""The measurements of `make calibrate`. Everything else here is simulated."""
KEYS = ("name", "p50_s", "p95_s", "p99_s", "worst_s", "task_hours", "most_tasks", "changes", "throttles", "fleet_usd")

Figures = dict[str, Any]
Policies = dict[str, Callable[[], Autoscaler]]

DRAINS = WorkerModel(protected=False)
"""Tasks that drain on a stop. With protection, every policy would keep tasks beyond its target."""

SETTINGS = (
    # least tasks, most tasks, busy share, acceptable latency in seconds, minutes that a surplus lasts
    (0, 20, 0.8, 60, 5),
    (0, 20, 0.2, 60, 5),
    (0, 20, 0.2, 10, 2),
    (0, 20, 1.0, 60, 5),
    (0, 12, 0.8, 60, 5),
    (0, 8, 0.8, 60, 5),
    (0, 20, 1.0, 300, 5),
    (0, 6, 1.0, 60, 5),
    (0, 6, 1.0, 120, 5),
    (0, 6, 1.0, 60, 2),
    (0, 5, 1.0, 60, 5),
    (1, 5, 1.0, 60, 5),
    (0, 4, 1.0, 60, 5),
    (0, 2, 1.0, 60, 5),
    (0, 1, 1.0, 60, 5),
    (1, 1, 1.0, 60, 5),
    (1, 20, 0.8, 60, 5),
    (2, 20, 0.8, 60, 5),
    (3, 20, 0.8, 10, 2),
    (4, 20, 0.8, 60, 5),
)
"""Settings of our policy from frugal to generous, to compare it with other policies at equal task-hours."""


def main() -> None:
    """Write the figures. With --check, name the files that are out of date and exit with 1."""
    check = "--check" in sys.argv[1:]
    with tempfile.TemporaryDirectory() as elsewhere:
        numbers = figures(draw_into=Path(elsewhere) if check else HERE)
    text = json.dumps(numbers, indent=1) + "\n"
    written = {NUMBERS: text} | {
        path: fill(path.read_text(encoding="utf-8"), numbers, names) for path, names in DOCUMENTS.items()
    }
    if check:
        stale = [path for path, new in written.items() if path.read_text(encoding="utf-8") != new]
        if stale:
            sys.exit(f"out of date: {', '.join(path.name for path in stale)}; run: make figures")
        return
    for path, new in written.items():
        path.write_text(new, encoding="utf-8")


def figures(*, draw_into: Path) -> Figures:
    """Return all figures, and draw the pictures into `draw_into`. Takes minutes on a slow machine."""
    return {
        "profiles": {profile: profile_rows(profile, draw_into=draw_into) for profile in PROFILES},
        "pictures": {profile: digest(draw_into / f"{profile}.svg") for profile in PROFILES},
        "equal_hours": {profile: tuned_rows(profile) for profile in PROFILES},
        "zero": zero_rows(),
        "endpoint": endpoint_rows(),
        "protection": protection_rows(),
        "large": large_row(),
    }


def profile_rows(profile: str, *, draw_into: Path | None = None, only: Sequence[str] = ()) -> list[Figures]:
    """Simulate one profile under every policy, or under those in `only`."""
    scenario = Scenario(worker=DRAINS)
    counts = counts_a_minute(profile)
    chosen = {name: make for name, make in _all(scenario).items() if not only or name in only}
    outcomes: list[Outcome] = []
    runs: dict[str, Run] = {}
    for outcome, run in _compare(f"{profile}", scenario, counts, chosen):
        outcomes.append(outcome)
        runs[outcome.name] = run
    if draw_into:
        title = f"{profile}: {sum(counts):,} uploads in {len(counts) / 60:g} h"
        draw(draw_into / f"{profile}.svg", title=title, counts=counts, outcomes=outcomes, runs=runs)
    return [_row(outcome) for outcome in outcomes]


def digest(picture: Path) -> str:
    """Return the SHA-256 of a picture."""
    return hashlib.sha256(picture.read_bytes()).hexdigest()


def tuned_rows(profile: str) -> list[Figures]:
    """Simulate one profile under our policy with each of `SETTINGS`."""
    scenario = Scenario(worker=DRAINS)
    policies: Policies = {}
    for least, most, busy, latency_s, minutes in SETTINGS:
        policy = scenario.policy(acceptable_latency_s=latency_s, busy_share=busy, min_tasks=least, max_tasks=most)
        name = f"{least} to {most} tasks, {busy:.0%} busy, {latency_s} s, in after {minutes} min"
        numbers = plan(policy, scale_in_minutes=minutes)
        policies[name] = partial(backlog_per_task, numbers)
    return [_row(o) for o, _ in _compare(f"{profile}, ours tuned", scenario, counts_a_minute(profile), policies)]


def zero_rows() -> list[Figures]:
    """Compare scaling to zero with keeping one task, on a morning after a night without uploads."""
    rows = []
    for label, least, awake in (
        ("to zero", 0, True),
        ("to zero, queue left asleep", 0, False),
        ("one task stays", 1, True),
    ):
        scenario = Scenario(worker=DRAINS, queue_kept_awake=awake)
        rows += _ours(label, scenario, counts_a_minute("monday"), least=least)
    return rows


def endpoint_rows() -> list[Figures]:
    """Simulate three times the burst, which exceeds the endpoint's capacity, with more tasks and more instances."""
    counts = counts_a_minute("burst", uploads=120_000)
    rows = []
    for label, instances, most, capped in (
        ("4 to 8 instances, up to 40 tasks, capacity unknown", (4, 8), 40, False),
        ("4 to 8 instances, up to 40 tasks", (4, 8), 40, True),
        ("8 instances from the start, up to 40 tasks", (8, 8), 40, True),
        ("16 instances from the start, up to 40 tasks", (16, 16), 40, True),
    ):
        endpoint = EndpointModel(min_instances=instances[0], max_instances=instances[1])
        scenario = Scenario(worker=DRAINS, endpoint=endpoint)
        rows += _ours(label, scenario, counts, most=most, capped=capped)
    return rows


def protection_rows() -> list[Figures]:
    """Compare tasks that are protected while they work with tasks that drain on a stop."""
    rows = []
    for profile in ("constant", "daily", "monday"):
        for label, protected in (("protected", True), ("drains", False)):
            scenario = Scenario(worker=WorkerModel(protected=protected))
            rows += _ours(f"{profile}, {label}", scenario, counts_a_minute(profile))
    return rows


def large_row() -> Figures:
    """Simulate a hundredth of 100 million receipts a day, with an endpoint that may scale in to one instance."""
    scenario = Scenario(worker=DRAINS, endpoint=EndpointModel(min_instances=1, max_instances=4))
    counts = counts_a_minute("daily")
    ((outcome, run),) = _compare("large", scenario, counts, {OURS: _all(scenario)[OURS]})
    return {
        **_row(outcome),
        "peak_per_s": round(max(counts) / 60, 2),
        "most_in_flight": max(minute.in_flight for minute in run.minutes),
        "most_waiting": max(minute.visible for minute in run.minutes),
        "most_instances": max(minute.instances for minute in run.minutes),
        "instance_hours": outcome.instance_hours,
        "endpoint_usd": outcome.endpoint_usd,
        "queue_usd": outcome.queue_usd,
    }


def fill(document: str, numbers: Figures, names: Sequence[str]) -> str:
    """Return `document` with the tables `names`, each between its markers."""
    tables = {
        **{f"profile {name}": _table(rows) for name, rows in numbers["profiles"].items()},
        "equal hours": equal_hours_table(numbers),
        "zero": _table(numbers["zero"]),
        "endpoint": _table(numbers["endpoint"]),
        "protection": protection_table(numbers["protection"]),
        "large": large_table(numbers["large"]),
        "calibration": calibration_table(json.loads(CALIBRATION.read_text(encoding="utf-8"))),
    }
    for name in names:
        table = tables[name]
        pattern = rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)"
        literal = table.replace("\\", r"\\")  # re.subn reads backslashes in its replacement as references
        document, found = re.subn(pattern, rf"\g<1>{literal}\g<2>", document, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"The document has {found} places for the table {name!r}; it must have one")
    return document


def protection_table(rows: Sequence[Figures]) -> str:
    """Return the table of the task-hours with and without protection. The waiting times must be equal."""
    lines = ["| task-hours | protected | drains |", "|---|--:|--:|"]
    for on, off in zip(rows[::2], rows[1::2], strict=True):
        name = on["name"].removesuffix(", protected")
        if on["p95_s"] != off["p95_s"] or on["worst_s"] != off["worst_s"]:
            raise ValueError(f"protection changes the waiting times of {name}: show them")
        lines.append(f"| {name} | {on['task_hours']:,.1f} | {off['task_hours']:,.1f} |")
    return "\n".join(lines) + "\n"


def equal_hours_table(numbers: Figures) -> str:
    """Return the table of each other policy's p95 per profile, and our best p95 within the same task-hours."""
    profiles = numbers["profiles"]
    lines = [f"| | {' | '.join(profiles)} |", "|---|" + "--:|" * len(profiles)]
    names: dict[str, list[str]] = {}
    for name in (row["name"] for row in profiles["constant"] if row["name"] != OURS):
        cells = []
        for profile, rows in profiles.items():
            (row,) = (row for row in rows if row["name"] == name)
            theirs = _number(row["p95_s"])
            best = best_within(row["task_hours"], numbers["equal_hours"][profile])
            ours = _number(best["p95_s"]) if best else float("inf")
            mark = "**" if ours > theirs else ""
            cells.append(f"{row['task_hours']:,.1f} h: {seconds(theirs)} / {mark}{seconds(ours)}{mark}")
        names.setdefault(" | ".join(cells), []).append(name)
    lines += [f"| {', '.join(same)} | {cells} |" for cells, same in names.items()]
    return "\n".join(lines) + "\n"


def best_within(task_hours: float, rows: Iterable[Figures]) -> Figures | None:
    """Return the row with the shortest p95 that uses at most `task_hours`, with 0.5 % tolerance."""
    within = [row for row in rows if row["task_hours"] <= 1.005 * task_hours]
    return min(within, key=lambda row: _number(row["p95_s"]), default=None)


def large_table(row: Figures) -> str:
    """Return the table for 100 million receipts a day: the simulated hundredth times a hundred."""
    lines = ["| | a day of 100 million |", "|---|--:|"]
    for label, text in (
        ("receipts a second, mean and peak", f"1,157 and {100 * row['peak_per_s']:,.0f}"),
        ("messages in flight at most", f"{100 * row['most_in_flight']:,}"),
        ("tasks at most", f"{100 * row['most_tasks']:,}"),
        ("task-hours", f"{100 * row['task_hours']:,.0f}"),
        ("fleet", f"${100 * row['fleet_usd']:,.0f}"),
        ("endpoint instances at most", f"{100 * row['most_instances']:,}"),
        ("instance-hours", f"{100 * row['instance_hours']:,.0f}"),
        ("endpoint", f"${100 * row['endpoint_usd']:,.0f}"),
        ("queue", f"${100 * row['queue_usd']:,.0f}"),
        ("time to result, p50 / p95 / p99", " / ".join(seconds(_number(row[k])) for k in ("p50_s", "p95_s", "p99_s"))),
    ):
        lines.append(f"| {label} | {text} |")
    return "\n".join(lines) + "\n"


def calibration_table(measured: Figures) -> str:
    """Return the table of the real worker and its simulation."""
    lines = [
        "| workers | receipts | drained in s | simulated | off | p95 s | simulated | in flight each | CPU of a core |"
    ]
    lines.append("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for run in measured["runs"]:
        off = run["simulated_drain_s"] / run["drain_s"] - 1
        times = f"{run['drain_s']:.1f} | {run['simulated_drain_s']:.1f} | {off:+.1%}"
        waits = f"{run['p95_s']:.1f} | {run['simulated_p95_s']:.1f}"
        cpu = f"{run['in_flight']:.1f} | {run['cpu_share']:.0%}"
        lines.append(f"| {run['workers']} | {run['uploads']} | {times} | {waits} | {cpu} |")
    first = measured["runs"][0]
    lines.append("")
    lines.append(f"CPU a receipt: {first['cpu_ms_per_receipt']:.0f} ms. Machine: {measured['machine']}.")
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Figures]) -> str:
    """Return a table with a row for each policy. Policies with the same figures share a row."""
    names: dict[str, list[str]] = {}
    for row in rows:
        waits = " | ".join(seconds(_number(row[key])) for key in ("p50_s", "p95_s", "worst_s"))
        counted = f"{row['task_hours']:,.1f} | {row['most_tasks']} | {row['changes']} | {row['throttles']:,}"
        names.setdefault(f"{waits} | {counted}", []).append(row["name"])
    lines = ["| | p50 s | p95 s | worst s | task-hours | most tasks | changes | throttles |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    lines += [f"| {', '.join(same)} | {cells} |" for cells, same in names.items()]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> float:
    return float("inf") if value is None else value


def _row(outcome: Outcome) -> Figures:
    numbers = outcome.as_dict()
    return {key: numbers[key] for key in KEYS}


def _all(scenario: Scenario, *, least: int = 0, most: int = 20) -> Policies:
    return contenders(scenario.policy(acceptable_latency_s=60, busy_share=0.8, min_tasks=least, max_tasks=most))


def _ours(
    label: str, scenario: Scenario, counts: list[int], *, least: int = 0, most: int = 20, capped: bool = True
) -> list[Figures]:
    bounds = scenario if capped else Scenario(endpoint=EndpointModel(max_instances=10_000))
    make = _all(bounds, least=least, most=most)[OURS]
    return [_row(outcome) for outcome, _ in _compare(label, scenario, counts, {label: make})]


def _compare(label: str, scenario: Scenario, counts: list[int], policies: Policies) -> list[tuple[Outcome, Run]]:
    done = []
    for number, pair in enumerate(compare(scenario, counts, policies), start=1):
        done.append(pair)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{label}: {number} of {len(policies)}\033[K" + "\n" * (number == len(policies)))
    return done


if __name__ == "__main__":
    main()
