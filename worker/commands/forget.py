"""`receipts forget`: delete a person's receipts and everything derived from them."""

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
            metavar="s3://BUCKET/PREFIX",
            help="Also every upload under this prefix, such as a customer's.",
            show_default=False,
        ),
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Scan the table for answers to versions that are already deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete. Without this option, only count.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per document and line.")] = False,
) -> None:
    """Delete receipts permanently: all versions of the image, record, history, and the answers stored for their bytes.

    Backups keep their copies until they expire. docs/operations.md lists what else to consider.
    """
    named = documents or []
    if not named and not prefix:
        raise typer.BadParameter("name at least one document, or give --prefix")
    if prefix and not re.fullmatch(r"s3://[^/]+/.+", prefix):
        raise typer.BadParameter(f"--prefix {prefix}: write s3://BUCKET/PREFIX; a whole bucket cannot be forgotten")
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
        found = {await _resolve(forgetter, name, settings.bucket) for name in named}
        if prefix:
            bucket, _, start = prefix.removeprefix("s3://").partition("/")
            found.update(await forgetter.documents(bucket, start))
        go = forgetter.forget if delete else forgetter.look
        return [await go(document, scan=scan) for document in sorted(found)]


async def _resolve(forgetter: "Forgetter", name: str, bucket: str | None) -> str:
    """Return the document that `name` means. Refuse an ambiguous name, because a deletion cannot be undone."""
    from botocore.exceptions import ClientError

    possible = documents_named(name, bucket)
    if not possible:
        raise typer.BadParameter(f"{name}: write BUCKET/KEY, or set RECEIPTS_BUCKET")
    if len(possible) == 1:
        return possible[0]
    there = []
    for document in possible:
        # The bucket of this reading may not exist or belong to another account. If no reading fits, forgetting it
        # reports the error.
        with contextlib.suppress(ClientError):
            if not (await forgetter.look(document)).none:
                there.append(document)
    if len(there) > 1:
        raise typer.BadParameter(f"{name} can mean {' or '.join(there)}; write s3://BUCKET/KEY")
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
        console(stderr=True).print("Nothing was deleted. Add --yes to delete.")
