"""`python -m tests.benchmarks`: the worker's figures as a table and in build/bench.json."""

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.benchmarks import document
from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.processes import PRECEDENCE, BenchError, NotAvailable

FIGURES = ("start", "idle", "preparation", "memory", "growth", "latency", "cpu", "efficiency", "peers", "container")
OUTPUT = Path("build/bench.json")
SCRATCH = Path("build/bench")
DOCUMENT = Path("docs/performance.md")


def main() -> int:
    """Measure the chosen figures. Return 2 if one failed, 1 if a goal is missed with --strict, else 0."""
    options = _options()
    PRECEDENCE.taken = True
    SCRATCH.mkdir(parents=True, exist_ok=True)
    whole = Result()
    failed = False
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task("")
        bench = Bench(
            runs=options.runs or (2 if options.quick else 5),
            quick=options.quick,
            scratch=SCRATCH.resolve(),
            tell=lambda what: progress.update(bar, description=what),
        )
        for name in options.figures or FIGURES:
            try:
                result = importlib.import_module(f"tests.benchmarks.figures.{name}").measure(bench)
            except NotAvailable as why:
                progress.console.print(f"{name} skipped: {why}", style="yellow", highlight=False)
                _keep(Result(), bench, left_out={name: str(why)})
                failed |= name in options.figures
                continue
            except BenchError as error:
                progress.console.print(f"{name}: {error}", style="red", highlight=False)
                failed = True
                continue
            whole.join(result)
            _keep(result, bench, left_out={name: None})
    if options.json:
        sys.stdout.write(OUTPUT.read_text())
    else:
        Console().print(*([_table(whole)] if whole.rows else []), *whole.tables, sep="\n")
    if options.document:
        try:
            document.write(json.loads(OUTPUT.read_text()), DOCUMENT)
        except ValueError as error:
            sys.stderr.write(f"{DOCUMENT} was not changed: {error}\n")
            failed = True
    if failed:
        return 2
    return 1 if options.strict and any(row.met is False for row in whole.rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "figures", nargs="*", metavar="figure", help=f"figures to measure: {', '.join(FIGURES)} (default: all)"
    )
    parser.add_argument("--runs", type=int, help="runs of each figure (default: 5)")
    parser.add_argument("--quick", action="store_true", help="two short runs of each figure, and fewer cases")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--json", action="store_true", help=f"print {OUTPUT} instead of a table")
    parser.add_argument("--document", action="store_true", help=f"also write the figures into {DOCUMENT}")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"unknown figure: {', '.join(sorted(unknown))}; choose from {', '.join(FIGURES)}")
    if options.runs is not None and options.runs < 1:
        parser.error(f"--runs must be at least 1, not {options.runs}")
    return options


def _keep(result: Result, bench: Bench, *, left_out: dict[str, str | None]) -> None:
    """Merge the figures into the output file. `left_out` has the reason for each skipped figure."""
    kept: dict[str, Any] = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    spreads = kept.get("spread", {}) | result.spreads
    measured = kept.get("measured", {})
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    measured |= {key: {"at": at, "quick": bench.quick} for key in result.medians}
    reasons = {name: why for name, why in (kept.get("left_out", {}) | left_out).items() if why}
    kept |= {"left_out": reasons} | result.medians | {"machine": _machine(), "measured": measured, "spread": spreads}
    whole = OUTPUT.with_suffix(".new")
    whole.write_text(json.dumps(kept, indent=2) + "\n")
    whole.replace(OUTPUT)  # an interrupted bench does not leave half a file


def _machine() -> dict[str, Any]:
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _table(result: Result) -> Table:
    table = Table(title="The worker's figures", caption=f"medians; written to {OUTPUT}")
    table.add_column("figure", overflow="fold")
    for name in ("median", "lowest", "highest", "runs", "goal"):
        table.add_column(name, justify="right")
    for row in result.rows:
        style = {True: "green", False: "red", None: ""}[row.met]
        seen = [f"{value:.{row.digits}f}" for value in (row.seen.median, row.seen.low, row.seen.high)]
        cells = [f"{seen[0]} {row.unit}".strip(), *seen[1:], str(row.seen.runs), str(row.goal or "")]
        table.add_row(row.what, *cells, style=style)
    return table


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # ends the child processes too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
