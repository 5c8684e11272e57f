"""`receipts stats`: counts of records by status, day and model, and the amounts spent."""

import asyncio
import datetime as dt
from collections import Counter
from dataclasses import replace
from typing import Annotated, Final

import typer
from rich.table import Table

from worker.commands.support.selecting import selecting
from worker.commands.support.terminal import cells, console, money, status_text, table
from worker.receipts.text import printable_json
from worker.results.selection import Selection
from worker.results.stats import Stats

DAYS: Final = 30
BAR: Final = 40


@selecting
def command(
    *,
    selection: Selection,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Count all records, not only the last {DAYS} days.")
    ] = False,
    merchants: Annotated[int, typer.Option(min=0, help="Number of merchants to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count records by status and day, and sum the totals by currency and merchant.

    By default these are the records uploaded in the last 30 days. Conditions select others, --all selects all of them.
    Every selected record is read.
    """
    if selection == Selection() and not everything:
        selection = replace(selection, uploaded_from=dt.datetime.now(dt.UTC) - dt.timedelta(days=DAYS))
    counted = asyncio.run(_count(selection))
    if as_json:
        typer.echo(printable_json(counted.as_json(merchants=merchants), indent=2))
    else:
        _print(counted, merchants)


async def _count(selection: Selection) -> Stats:
    from worker.aws.clients import clients
    from worker.results.query import Results
    from worker.results.stats import stats
    from worker.settings import load

    settings = load()
    async with clients(settings, attempts=5) as aws:
        with console(stderr=True).status("Reading records …"):
            return await stats(Results(aws.dynamodb, settings.table), selection)


def _print(counted: Stats, merchants: int) -> None:
    for rows in (
        _statuses(counted),
        _counts("reason", counted.reasons),
        _counts("failed check", counted.checks),
        _counts("model", counted.models),
        _days(counted),
        _spent(counted, merchants),
    ):
        if rows.row_count:
            console().print(rows)
            console().print()
    summary = f"{counted.statuses.total():,} records, {counted.read:,} read."
    if counted.duplicates:
        summary += f" {counted.duplicates:,} possible duplicates: receipts list --duplicates"
    console(stderr=True).print(summary, markup=False)


def _statuses(counted: Stats) -> Table:
    rows = table("status", "records", "share", right=["records", "share"])
    for status, number in counted.statuses.most_common():
        rows.add_row(status_text(status), *cells(f"{number:,}", f"{number / counted.statuses.total():.1%}"))
    return rows


def _counts(title: str, counts: Counter[str]) -> Table:
    rows = table(title, "records", right=["records"])
    for name, number in counts.most_common(10):
        rows.add_row(*cells(name, f"{number:,}"))
    return rows


def _days(counted: Stats) -> Table:
    rows = table("day", "records", "", right=["records"])
    most = max((day.total() for day in counted.days.values()), default=0)
    for day in sorted(counted.days):
        number = counted.days[day].total()
        rows.add_row(*cells(day, f"{number:,}", "█" * max(1, round(number / most * BAR))))
    return rows


def _spent(counted: Stats, merchants: int) -> Table:
    rows = table("spent", "receipts", "sum", right=["receipts", "sum"])
    for one in sorted(counted.currencies.values(), key=lambda one: -one.count):
        rows.add_row(*cells(one.name, f"{one.count:,}", money(one.total, one.currency)))
    for one in counted.top_merchants(merchants):
        rows.add_row(*cells(f"  {one.name}", f"{one.count:,}", money(one.total, one.currency)))
    return rows
