"""`receipts list`: the newest matching records, one per line."""

import asyncio
import shlex
import sys
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table

from worker.commands.support import rows
from worker.commands.support.selecting import selecting
from worker.commands.support.terminal import cells, console, money, short_time, status_text, table
from worker.receipts.text import printable_json
from worker.results.query import MAX_LIMIT, Page, Results, Row
from worker.results.selection import BadQuery, Selection


@selecting
def command(
    *,
    selection: Selection,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="Largest number of records to show.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Continue after a previous page; it prints its cursor.")] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Keep reading until the page is full.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List records, newest first.

    An index finds records by status, merchant, purchase date, upload date and content. Every other condition filters
    what the index returns. Then at most ten records are read for each one shown, unless --thorough is given.
    """
    try:
        page = asyncio.run(_page(selection, limit=limit, cursor=cursor, thorough=thorough))
    except BadQuery as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(printable_json(_as_json(page), indent=2))
    else:
        _print(page)


async def _page(selection: Selection, *, limit: int, cursor: str | None, thorough: bool) -> Page:
    from worker.aws.clients import clients
    from worker.settings import load

    settings = load()
    async with clients(settings, attempts=5) as aws:
        return await Results(aws.dynamodb, settings.table).page(
            selection, limit=limit, cursor=cursor, thorough=thorough
        )


def _as_json(page: Page) -> dict[str, object]:
    rows = [row.as_json() for row in page.rows]
    return {"receipts": rows, "cursor": page.cursor, "read": page.read, "index": page.index}


def _print(page: Page) -> None:
    out = console()
    if page.rows:
        out.print(_wide(page.rows) if out.width >= rows.WIDE else rows.narrow_table(map(_narrow, page.rows)))
    summary = f"{len(page.rows)} shown, {page.read} read by {page.index}."
    if page.cursor:
        again = shlex.join(["receipts", *sys.argv[1:]]).split(" --cursor ", maxsplit=1)[0]
        summary += f" More: {again} --cursor {page.cursor}"
        if page.read > len(page.rows) and len(page.rows) == 0:
            summary += "\nNo match so far. --thorough keeps reading until it finds one."
    elif not page.rows:
        summary = f"No record matches ({page.read} read by {page.index})."
    console(stderr=True).print(summary, markup=False, soft_wrap=True)


def _wide(found: Iterable[Row]) -> Table:
    short = ["status", "date", "total", "uploaded"]
    made = table("status", "merchant", "date", "total", "uploaded", "document", "note", right=["total"], whole=short)
    for row in found:
        name, date, total = row.merchant.name, row.purchase_date, money(row.total, row.currency)
        facts = cells(name, date, total, short_time(row.uploaded_at))
        made.add_row(status_text(row.status), *facts, rows.Key(row.document), *cells(_note(row)))
    return made


def _narrow(row: Row) -> rows.Row:
    return rows.Row(
        status=row.status,
        key=row.document,
        merchant=row.merchant.name,
        date=row.purchase_date,
        total=money(row.total, row.currency),
        asides=(f"uploaded {short_time(row.uploaded_at)}",),
        trouble=_note(row),
    )


def _note(row: Row) -> str:
    """Return the remarks on a record, in a few words."""
    notes = []
    if row.reason:
        notes.append(row.reason)
    if row.checks and not row.reviewed_at:  # a person has already approved a reviewed record
        notes.append(", ".join(check.name for check in row.checks))
    if row.possible_duplicate_of:
        notes.append(f"possible duplicate of {row.possible_duplicate_of}")
    if row.reviewed_at:
        notes.append("reviewed")
    return "; ".join(notes)
