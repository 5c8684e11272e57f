"""`python -m tests.chaos`: run the full storm, print its figures as a table and write them to build/chaos.json."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.storm import Figures, Storm, run

OUTPUT = Path("build/chaos.json")


def main() -> int:
    """Run the storm; return 1 if a guarantee was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--uploads", type=int, default=Storm.uploads)
    parser.add_argument("--workers", type=int, default=Storm.workers)
    parser.add_argument("--seed", type=int, default=Storm.seed)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    arguments = parser.parse_args()
    storm = Storm(uploads=arguments.uploads, workers=arguments.workers, seed=arguments.seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("starting", total=storm.uploads)
        figures = asyncio.run(
            run(storm, tell=lambda what, done: progress.update(bar, description=what, completed=done))
        )
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(asdict(figures) | {"sound": figures.sound}, indent=2) + "\n")
    if arguments.json:
        Console().print_json(OUTPUT.read_text())
    else:
        Console().print(_table(figures))
    return 0 if figures.sound else 1


def _table(figures: Figures) -> Table:
    table = Table(title="The storm", caption=f"written to {OUTPUT}")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("allowed", justify="right")
    allowed = {
        "lost": "0",
        "wrong": "0",
        "duplicate_records": "0",
        "dead_lettered": "0",
        "invocations": f"{figures.invocations_allowed:.0f}",
        "clean_stops": "True",
    }
    for name, value in asdict(figures).items():
        if name != "invocations_allowed":
            table.add_row(name.replace("_", " "), str(value), allowed.get(name, ""))
    return table


if __name__ == "__main__":
    sys.exit(main())
