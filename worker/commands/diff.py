"""`receipts diff`: the fields that a new model reads differently."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from worker.commands.support.selecting import selecting
from worker.commands.support.terminal import as_text, cells, console, table
from worker.receipts.text import printable_json
from worker.results.selection import Selection

if TYPE_CHECKING:
    from worker.results.diff import Change, Difference


@selecting
def command(
    *,
    selection: Selection,
    replay: Annotated[str | None, typer.Option(metavar="ID", help="Compare the records of one replay.")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Number of changes to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every change.")] = False,
) -> None:
    """Compare records with what the previous model read.

    `right` counts the changes that agree with a person's correction, `wrong` those that contradict one.
    """
    difference, changes = asyncio.run(_compare(selection, replay, None if as_json else examples))
    if as_json:
        found = {**difference.as_json(), "changes": [change.as_json() for change in changes]}
        typer.echo(printable_json(found, indent=2))
    else:
        _print(difference, changes)


async def _compare(selection: Selection, replay: str | None, most: int | None) -> tuple["Difference", list["Change"]]:
    """Return the counts, and the first `most` changes (all for None)."""
    from worker.aws.clients import clients
    from worker.replay.manifest import records_of
    from worker.results.diff import Difference
    from worker.results.export import chosen_records
    from worker.results.query import Results
    from worker.settings import load

    settings = load()
    difference, changes = Difference(), list["Change"]()
    async with clients(settings, attempts=5) as aws:
        results = Results(aws.dynamodb, settings.table)
        with console(stderr=True).status("Reading records …"):
            found = (
                records_of(aws.dynamodb, results, settings.table, replay)
                if replay
                else chosen_records(results, selection)
            )
            async for record in found:
                for change in difference.add(record):
                    if most is None or len(changes) < most:
                        changes.append(change)
    return difference, changes


def _print(difference: "Difference", changes: list["Change"]) -> None:
    out = console()
    kinds = ("changed", "found", "lost", "right", "wrong")
    rows = table("field", *kinds, right=kinds)
    for name, counts in difference.fields.items():
        if counts:
            rows.add_row(*cells(name, *(counts[kind] or "" for kind in kinds)))
    if difference.changed:
        out.print(rows)
    if changes:
        rows = table("document", "field", "before", "after")
        for change in changes:
            rows.add_row(*cells(change.document, change.field, as_text(change.before), as_text(change.after)))
        out.print()
        out.print(rows)
    console(stderr=True).print(
        f"{difference.changed:,} of {difference.compared:,} records changed "
        f"({difference.records:,} read; the others have only one answer)."
    )
