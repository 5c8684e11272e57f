"""`receipts submit`: upload files, and optionally wait for their records."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.aws.clients import Clients
    from worker.aws.uploads import Uploaded
    from worker.receipts.record import Record

AT_A_TIME = 8


def command(
    files: Annotated[list[Path], typer.Argument(help="Receipts: pictures or PDFs.", show_default=False)],
    *,
    bucket: Annotated[str | None, typer.Option(help="Bucket to upload to.", show_default="RECEIPTS_BUCKET")] = None,
    prefix: Annotated[str, typer.Option(help="Prefix of the keys, such as 2026/travel/.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the records: exit 0 if all are extracted, else 1.")
    ] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, help="Longest wait for the records, seconds.")] = 300,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line: an upload, or with --wait a record.")
    ] = False,
) -> None:
    """Upload receipts to the bucket. The worker does the rest.

    The key of a file is PREFIX followed by its name. A later upload to the same key replaces the earlier one.
    """
    from worker.aws import uploads
    from worker.aws.resources import OWN_PREFIX
    from worker.settings import load

    if prefix.startswith(OWN_PREFIX):
        raise typer.BadParameter(
            f"--prefix {prefix}: {OWN_PREFIX} is reserved for the worker's output; choose another prefix."
        )
    problems = [problem for path in files if (problem := uploads.problem(path))]
    if problems:
        raise typer.BadParameter("; ".join(problems))
    settings = load(**({"bucket": bucket} if bucket else {}))
    settings.require("bucket")
    keys = uploads.keys(files, prefix=prefix)
    all_extracted = asyncio.run(
        _submit(keys, bucket=str(settings.bucket), wait_s=timeout_s if wait else None, as_json=as_json)
    )
    raise typer.Exit(0 if all_extracted else 1)


async def _submit(keys: dict[Path, str], *, bucket: str, wait_s: float | None, as_json: bool) -> bool:
    from worker.aws.clients import clients
    from worker.settings import load

    settings = load()
    async with clients(settings) as aws:
        sent = await _send(aws, keys, bucket=bucket, quiet=as_json and wait_s is not None, as_json=as_json)
        if wait_s is None:
            return True
        found = await _wait(aws, settings.table, sent, wait_s=wait_s, as_json=as_json)
    missing = [upload for upload in sent if upload.document not in found]
    for upload in missing:
        sys.stderr.write(f"No record yet: {upload.key}\n")
    if not as_json:
        from worker.commands.support.screen import record_table
        from worker.commands.support.terminal import console

        out = console()
        out.print(record_table(list(found.values()), width=out.width))
    return not missing and all(record.status == "extracted" for record in found.values())


async def _send(aws: "Clients", keys: dict[Path, str], *, bucket: str, quiet: bool, as_json: bool) -> "list[Uploaded]":
    """Upload every file, AT_A_TIME at once, and print each one when it is uploaded."""
    from botocore.exceptions import BotoCoreError, ClientError

    from worker.aws import uploads

    slots = asyncio.Semaphore(AT_A_TIME)

    async def send(path: Path, key: str) -> "Uploaded":
        async with slots:
            uploaded = await uploads.put(aws.s3, path, bucket=bucket, key=key)
        if not quiet:
            _say(path, uploaded, as_json=as_json)
        return uploaded

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(path, key), name=f"send {key}") for path, key in keys.items()]
    except* (OSError, ClientError, BotoCoreError) as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _say(path: Path, uploaded: "Uploaded", *, as_json: bool) -> None:
    if as_json:
        line = {"file": str(path), "bucket": uploaded.bucket, "key": uploaded.key}
        print(json.dumps(line | {"version_id": uploaded.version.version_id}, ensure_ascii=False), flush=True)
    else:
        from worker.commands.support.terminal import safe

        print(safe(f"s3://{uploaded.bucket}/{uploaded.key}"), flush=True)


async def _wait(
    aws: "Clients", table: str, sent: "list[Uploaded]", *, wait_s: float, as_json: bool
) -> "dict[str, Record]":
    from worker.results.polling import wait_for

    found: dict[str, Record] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            async for _, record in wait_for(aws.dynamodb, table, sent):
                found[record.document] = record
                if as_json:
                    print(json.dumps(record.as_json(), ensure_ascii=False), flush=True)
    return found
