"""`receipts export`: any number of records as a file."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from worker.commands.support.selecting import selecting
from worker.commands.support.terminal import console
from worker.results.selection import Selection

if TYPE_CHECKING:
    from worker.receipts.record import Record
    from worker.results.export import Writer

Format = Literal["csv", "jsonl", "parquet"]


@selecting
def command(
    *,
    selection: Selection,
    format_: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="csv, jsonl or parquet.", show_default="from the file's suffix, else csv"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="File to write.", show_default="stdout")
    ] = None,
    items: Annotated[bool, typer.Option("--items", help="CSV, Parquet: one row per item of a receipt.")] = False,
) -> None:
    """Write records to a file, with corrections applied.

    Without conditions the whole table is scanned; with conditions an index finds the records. Records are streamed,
    so their number is not limited. Until the file is complete, its name ends in .part.
    """
    kind = format_ or _kind(output)
    if kind == "parquet" and output is None:
        raise typer.BadParameter("Parquet needs a file: -o receipts.parquet")
    if kind == "jsonl" and items:
        raise typer.BadParameter("--items is for csv and parquet; a line of jsonl already contains the items")
    with _writer(kind, output, items=items) as writer:
        records, rows, read = asyncio.run(_export(selection, writer))
    console(stderr=True).print(f"{records:,} records, {rows:,} rows, {read:,} read.")


def _kind(output: Path | None) -> Format:
    suffix = output.suffix.lstrip(".").lower() if output else ""
    return cast("Format", suffix) if suffix in ("csv", "jsonl", "parquet") else "csv"


@contextmanager
def _writer(kind: Format, output: Path | None, *, items: bool) -> Iterator["Writer"]:
    """Yield the writer of the records. The file gets its final name once it is complete."""
    from worker.results.export import Csv, JsonLines, Parquet

    if output is None:
        yield _text_writer(kind, sys.stdout, items=items)
        sys.stdout.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        if kind == "parquet":
            writer = Parquet(part, items=items)
            yield writer
            writer.close()
        else:
            with part.open("w", encoding="utf-8", newline="") as stream:
                yield Csv(stream, items=items) if kind == "csv" else JsonLines(stream)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def _text_writer(kind: Format, stream: Any, *, items: bool) -> "Writer":
    from worker.results.export import Csv, JsonLines

    return Csv(stream, items=items) if kind == "csv" else JsonLines(stream)


async def _export(selection: Selection, writer: "Writer") -> tuple[int, int, int]:
    """Write the records of `selection`. Return the numbers of records and rows written and of records read."""
    from worker.aws.clients import clients
    from worker.results.query import Results
    from worker.settings import load

    settings = load()
    read = 0

    def on_read(count: int) -> None:
        nonlocal read
        read += count

    async with clients(settings, attempts=5) as aws:
        results = Results(aws.dynamodb, settings.table)
        found, total = await _source(aws.dynamodb, results, selection, settings.table, on_read)
        return (*await _write(found, writer, total), read)


async def _source(
    dynamodb: Any, results: Any, selection: Selection, table: str, on_read: Callable[[int], None]
) -> tuple[AsyncIterator["Record"], int | None]:
    """Return the records of `selection` and their approximate number, or None if it is unknown."""
    from worker.results.export import chosen_records, every_record

    if selection != Selection():
        return chosen_records(results, selection, on_read=on_read), None
    console(stderr=True).print("No conditions are given, so the whole table is scanned.")
    return every_record(dynamodb, table, on_read=on_read), await results.count() or None


async def _write(found: AsyncIterator["Record"], writer: "Writer", total: int | None) -> tuple[int, int]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} records"), BarColumn(), TimeElapsedColumn())
    records = rows = 0
    err = console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=total)
        async for record in found:
            rows += writer.write(record)
            records += 1
            progress.update(task, completed=records)
    return records, rows
