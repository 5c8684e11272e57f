"""`receipts forget`: a person's receipts, with everything that was made of them."""

import asyncio
import contextlib
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker.commands.support.naming import HELP, documents_named

if TYPE_CHECKING:
    from worker.results.forget import Forgetter, Traces


def command(
    documents: Annotated[list[str] | None, typer.Argument(help=f"Documents: {HELP}", show_default=False)] = None,
    *,
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="s3://BUCKET/PREFIX", help="Also every upload under it, such as a customer's.", show_default=False
        ),
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Read the whole table for answers to versions that are gone already.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; without this it is only counted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one document a line as JSON.")] = False,
) -> None:
    """Delete receipts for good: image in all versions, record, history, and the answers kept for their bytes.

    Backups keep what they hold until they expire: docs/operations.md says what else to think of.
    """
    named = documents or []
    if not named and not prefix:
        raise typer.BadParameter("name at least one document, or --prefix")
    if prefix and not re.fullmatch(r"s3://[^/]+/.+", prefix):
        raise typer.BadParameter(f"--prefix {prefix} is no s3://BUCKET/PREFIX; a whole bucket is not forgotten so")
    traces = asyncio.run(_forget(named, prefix, scan=scan, delete=yes))
    if as_json:
        for found in traces:
            typer.echo(json.dumps({**asdict(found), "deleted": yes}))
    else:
        _show(traces, deleted=yes)


async def _forget(named: list[str], prefix: str | None, *, scan: bool, delete: bool) -> "list[Traces]":
    from worker.aws.clients import clients
    from worker.results.forget import Forgetter
    from worker.settings import load

    settings = load()
    async with clients(settings) as aws:
        forgetter = Forgetter(aws.s3, aws.dynamodb, settings.table)
        found = {await _meant(forgetter, name, settings.bucket) for name in named}
        if prefix:
            bucket, _, start = prefix.removeprefix("s3://").partition("/")
            found.update(await forgetter.documents(bucket, start))
        go = forgetter.forget if delete else forgetter.look
        return [await go(document, scan=scan) for document in sorted(found)]


async def _meant(forgetter: "Forgetter", name: str, bucket: str | None) -> str:
    """Return the one document that `name` means; refuse a name that means two, since what is deleted is gone."""
    from botocore.exceptions import ClientError

    possible = documents_named(name, bucket)
    if not possible:
        raise typer.BadParameter(f"{name} is no BUCKET/KEY, and RECEIPTS_BUCKET is not set")
    if len(possible) == 1:
        return possible[0]
    there = []
    for document in possible:
        # What is read as a bucket may be none, or another's; where that is all there is, forgetting says so.
        with contextlib.suppress(ClientError):
            if not (await forgetter.look(document)).none:
                there.append(document)
    if len(there) > 1:
        raise typer.BadParameter(f"{name} means {' or '.join(there)}: write s3://BUCKET/KEY")
    if there:
        return there[0]
    return name if name.startswith(f"{bucket}/") else possible[0]


def _show(traces: "list[Traces]", *, deleted: bool) -> None:
    from worker.commands.support.terminal import cells, console, table

    columns = ("versions", "record", "answers", "overflow")
    shown = table("document", *columns, right=columns)
    for found in traces:
        shown.add_row(*cells(found.document, found.versions, int(found.record), found.answers, found.overflow))
    console().print(shown)
    if not deleted and any(not found.none for found in traces):
        console(stderr=True).print("Nothing was deleted. The same with --yes deletes it.")
