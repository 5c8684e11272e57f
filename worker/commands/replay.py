"""`receipts replay`: process uploads again."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.commands.support.naming import HELP, documents_named
from worker.commands.support.progress import interrupts, progress
from worker.commands.support.replay_options import SOURCES, ReplayOptions, age_s
from worker.commands.support.selecting import selecting
from worker.commands.support.terminal import console, safe
from worker.results.selection import BadQuery, Selection

if TYPE_CHECKING:
    from worker.aws.clients import Clients
    from worker.replay.dead_letters import DeadLetterFilter, DeadLetters
    from worker.replay.manifest import Manifest, ManifestEntry
    from worker.replay.replayer import Pace
    from worker.replay.sources import Candidate
    from worker.results.query import Results


@dataclass(frozen=True, kw_only=True)
class ReplayContext:
    """The clients and identifiers of one replay."""

    aws: "Clients"
    results: "Results"
    queue_url: str
    bucket: str | None
    table: str
    replay_id: str
    pace: "Pace"


@selecting
def command(
    keys: Annotated[list[str] | None, typer.Argument(help=f"Documents: {HELP}", show_default=False)] = None,
    *,
    selection: Selection,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="s3://BUCKET/PREFIX", help="Objects under a prefix that have no record yet: a backfill."),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="With --prefix: also objects that have a record.")
    ] = False,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="The messages of the dead-letter queue.")
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="With --dead-letters: sent at least this long ago, such as 30m or 2d."),
    ] = None,
    younger_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="With --dead-letters: sent at most this long ago.")
    ] = None,
    older_than_model: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Records read by a model older than this version.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Call the endpoint even if an answer for the same bytes is stored.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Enqueue. Without this option, only count.")] = False,
    rate: Annotated[float, typer.Option(help="Largest number of messages per second.")] = 50.0,
    replay_id: Annotated[
        str | None, typer.Option("--id", help="Name of the replay. Use it again to resume the replay.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Enqueue uploads again. Without --yes, only print a count and an estimate.

    Without --force, an upload whose bytes already have an answer gets it from the table. An interrupted replay resumes
    when it is run with its id; no upload is enqueued twice.
    """
    try:
        options = ReplayOptions(
            selection=selection,
            keys=tuple(keys or ()),
            prefix=prefix,
            dead_letters=dead_letters,
            older_than_model=older_than_model,
            older_than=older_than,
            younger_than=younger_than,
            recorded=recorded,
            replay_id=replay_id,
            force=force,
            rate=rate,
            yes=yes,
            as_json=as_json,
        )
        code = asyncio.run(_replay(options))
    except BadQuery as error:
        raise typer.BadParameter(str(error)) from error
    raise typer.Exit(code)


async def _replay(options: ReplayOptions) -> int:
    """Run the replay; return the exit code: 0 done, 1 interrupted."""
    from worker.aws.clients import clients
    from worker.replay.replayer import Pace, checked_id, new_id
    from worker.results.query import Results
    from worker.settings import load

    settings = load()
    settings.require("queue_url")
    async with clients(settings, attempts=5) as aws:
        context = ReplayContext(
            aws=aws,
            results=Results(aws.dynamodb, settings.table),
            queue_url=str(settings.queue_url),
            bucket=settings.bucket,
            table=settings.table,
            replay_id=checked_id(options.replay_id) if options.replay_id else new_id(dt.datetime.now(dt.UTC)),
            pace=Pace(per_s=options.rate),
        )
        return await (_redrive(options, context) if options.dead_letters else _resend(options, context))


async def _resend(options: ReplayOptions, context: ReplayContext) -> int:
    from worker.replay.manifest import Manifest

    replay_id = context.replay_id
    manifest = Manifest(context.aws.dynamodb, context.table, clock=time.time)
    entry = await manifest.find(replay_id)
    if entry is None and options.resumed:
        raise BadQuery(f"no replay {replay_id} to resume. {SOURCES}")
    if entry is not None and entry.force != options.force and not options.resumed:
        raise BadQuery(f"replay {replay_id} began {'with' if entry.force else 'without'} --force; use another --id")
    if not options.yes:
        return await (_estimate(options, context) if entry is None else _state(options, entry))
    if entry is None:
        entry = await _choose(options, context, manifest)
    return await _send(options, context, manifest, entry)


async def _estimate(options: ReplayOptions, context: ReplayContext) -> int:
    """Print what the replay would do."""
    from worker.replay.sources import estimate

    with console(stderr=True).status("Counting …"):
        counted = await estimate(_candidates(options, context))
    calls, seconds = counted.calls(force=options.force), counted.seconds(options.rate)
    _print_result(
        options,
        {"uploads": counted.uploads, "endpoint_calls_at_most": calls, "seconds": round(seconds, 1), "sent": 0},
        f"{counted.uploads:,} uploads would be enqueued in about {_time(seconds)}, with at most {calls:,} endpoint "
        "calls. Nothing was changed. Add --yes to enqueue.",
    )
    return 0


async def _state(options: ReplayOptions, entry: "ManifestEntry") -> int:
    """Print the progress of a replay that has begun."""
    left = entry.total - entry.sent
    _print_result(
        options,
        {"replay_id": entry.replay_id, "uploads": entry.total, "sent": entry.sent, "seconds": left / options.rate},
        f"Replay {entry.replay_id} ({entry.description}): {entry.sent:,} of {entry.total:,} uploads are enqueued. "
        "Nothing was changed. Add --yes to resume.",
    )
    return 0


async def _choose(options: ReplayOptions, context: ReplayContext, manifest: "Manifest") -> "ManifestEntry":
    from worker.replay.sources import uploads_of

    with console(stderr=True).status("Choosing uploads …"):
        chosen = uploads_of(_candidates(options, context))
        return await manifest.freeze(context.replay_id, chosen, force=options.force, description=options.description())


async def _send(options: ReplayOptions, context: ReplayContext, manifest: "Manifest", entry: "ManifestEntry") -> int:
    """Send the rest of a replay; return 0, or 1 if it was interrupted."""
    from worker.replay.replayer import Replayer

    replay_id = context.replay_id
    replayer = Replayer(sqs=context.aws.sqs, queue_url=context.queue_url, results=context.results, manifest=manifest)
    with progress(entry.total) as show, interrupts() as stopping:
        entry = await replayer.run(
            replay_id, pace=context.pace, stopping=stopping, on_progress=lambda state: show(state.sent)
        )
    result = {"replay_id": replay_id, "uploads": entry.total, "sent": entry.sent, "done": entry.done}
    if entry.done:
        _print_result(
            options,
            result,
            f"{entry.sent:,} uploads are enqueued. To see what changes: receipts diff --replay {replay_id}",
        )
        return 0
    _print_result(
        options,
        result,
        f"Interrupted at {entry.sent:,} of {entry.total:,}. To resume: receipts replay --id {replay_id} --yes",
    )
    return 1


def _candidates(options: ReplayOptions, context: ReplayContext) -> AsyncIterator["Candidate"]:
    from worker.replay.sources import from_keys, from_prefix, from_table

    results, aws = context.results, context.aws
    if options.keys:
        return from_keys(results, aws.s3, [_named(key, context.bucket) for key in options.keys])
    if options.prefix is not None:
        bucket, _, prefix = options.prefix.removeprefix("s3://").partition("/")
        if not options.prefix.startswith("s3://") or not bucket:
            raise BadQuery(f"--prefix {options.prefix}: write s3://BUCKET/PREFIX")
        return from_prefix(results, aws.s3, bucket, prefix, recorded=options.recorded)
    return from_table(results, options.selection, older_than=options.older_than_model)


def _named(key: str, bucket: str | None) -> list[str]:
    possible = documents_named(key, bucket)
    if not possible:
        raise BadQuery(f"{safe(key)}: write BUCKET/KEY, or set RECEIPTS_BUCKET")
    return possible


async def _redrive(options: ReplayOptions, context: ReplayContext) -> int:
    from worker.replay.dead_letters import DeadLetterFilter, DeadLetters, ReplayCommand

    wanted = DeadLetterFilter(
        reason=options.selection.reason,
        older_than_s=age_s(options.older_than),
        younger_than_s=age_s(options.younger_than),
    )
    dead_letters = DeadLetters(sqs=context.aws.sqs, queue_url=context.queue_url, results=context.results)
    url, arn = await dead_letters.addresses()
    if not options.yes:
        return await _look(options, dead_letters, url, wanted)
    with progress(await dead_letters.count(url)) as show, interrupts() as stopping:
        moved: int | None = None
        if wanted.everything and not options.force:
            moved = await dead_letters.move_all(arn, pace=context.pace, stopping=stopping, on_progress=show)
        if moved is None:
            command = ReplayCommand(replay_id=context.replay_id, force=options.force)
            moved = await dead_letters.redrive(
                url, wanted, command, pace=context.pace, stopping=stopping, on_progress=show
            )
        done = not stopping()
    result = {"replay_id": context.replay_id, "messages": moved, "done": done}
    _print_result(options, result, f"{moved:,} messages went back to the queue.")
    return 0 if done else 1


async def _look(options: ReplayOptions, dead_letters: "DeadLetters", url: str, wanted: "DeadLetterFilter") -> int:
    """Count the matching dead-letter entries."""
    if wanted.everything:
        messages = uploads = await dead_letters.count(url)
    else:
        with console(stderr=True).status("Reading dead-letter entries …"):
            messages, uploads = await dead_letters.look(url, wanted)
    _print_result(
        options,
        {"messages": messages, "endpoint_calls_at_most": uploads, "seconds": round(messages / options.rate, 1)},
        f"{messages:,} messages would go back to the queue in about {_time(messages / options.rate)}, with at most "
        f"about {uploads:,} endpoint calls. Nothing was changed. Add --yes to move them.",
    )
    return 0


def _print_result(options: ReplayOptions, content: dict[str, Any], sentence: str) -> None:
    if options.as_json:
        typer.echo(json.dumps(content))
    else:
        console().print(sentence, markup=False, soft_wrap=True)


def _time(seconds: float) -> str:
    """Return a duration in a unit that is easy to read."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
