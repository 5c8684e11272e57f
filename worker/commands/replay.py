"""`receipts replay`: uploads are worked on again."""

import asyncio
import datetime as dt
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.commands.support.naming import HELP, documents_named
from worker.commands.support.selecting import selecting
from worker.commands.support.terminal import console, safe
from worker.results.selection import BadQuery, Selection

if TYPE_CHECKING:
    from worker.aws.clients import Clients
    from worker.replay.dead_letters import DeadLetterFilter, DeadLetters
    from worker.replay.manifest import Manifest, ManifestEntry
    from worker.replay.replayer import Candidate, Pace
    from worker.results.query import Results

SOURCES: Final = "What to replay: KEYS, --prefix, --dead-letters, conditions on records, or --id of one that began."
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What the command line asks for."""

    selection: Selection
    keys: tuple[str, ...]
    prefix: str | None
    dead_letters: bool
    older_than_model: str | None
    older_than: str | None
    younger_than: str | None
    recorded: bool
    replay_id: str | None
    force: bool
    rate: float
    yes: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse sources that exclude each other, and none at all."""
        from_table = (self.selection != Selection() or self.older_than_model is not None) and not self.dead_letters
        sources = [bool(self.keys), self.prefix is not None, self.dead_letters, from_table]
        if sum(sources) > 1 or (not any(sources) and self.replay_id is None):
            raise BadQuery(f"exactly one source is needed. {SOURCES}")
        if self.dead_letters and (self.older_than_model or self.selection != Selection(reason=self.selection.reason)):
            raise BadQuery("--dead-letters is filtered by --reason, --older-than and --younger-than alone")
        if not self.dead_letters and (self.older_than or self.younger_than):
            raise BadQuery("--older-than and --younger-than are for --dead-letters")

    @property
    def resumed(self) -> bool:
        """Whether nothing but an id is given: that replay goes on."""
        return not self.keys and self.prefix is None and self.selection == Selection() and self.older_than_model is None

    def description(self) -> str:
        """Return the source in words, for whoever looks at the manifest."""
        if self.keys:
            return f"{len(self.keys)} keys"
        if self.prefix is not None:
            return f"objects under {self.prefix}"
        conditions = {name: value for name, value in vars(self.selection).items() if value not in (None, ())}
        return ", ".join(f"{name}={value}" for name, value in conditions.items())[:1_000] or "records"


@dataclass(frozen=True, kw_only=True)
class ReplayContext:
    """What a replay works with."""

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
        typer.Option(metavar="s3://BUCKET/PREFIX", help="Objects that have no record yet: a backfill."),
    ] = None,
    recorded: Annotated[bool, typer.Option("--recorded", help="--prefix: those that have a record too.")] = False,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="What is in the dead-letter queue.")] = False,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="--dead-letters: sent at least so long ago, such as 30m or 2d.")
    ] = None,
    younger_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="--dead-letters: sent at most so long ago.")
    ] = None,
    older_than_model: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Records whose model is older than this version.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Call the endpoint even where these bytes are answered already.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; without this it is only counted.")] = False,
    rate: Annotated[float, typer.Option(help="Messages a second at most.")] = 50.0,
    replay_id: Annotated[
        str | None, typer.Option("--id", help="Name of the replay. Run again with the same, it goes on where it was.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Enqueue uploads again: first a count and an estimate, with --yes for real.

    Where nothing is forced, an upload whose bytes are answered already is answered from the table. A replay can be
    interrupted and run again with its id: no upload is enqueued twice.
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
    """Do what is asked; return the exit code: 0 done, 1 interrupted."""
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
        raise BadQuery(f"there is no replay {replay_id} to go on with. {SOURCES}")
    if entry is not None and entry.force != options.force and not options.resumed:
        raise BadQuery(f"replay {replay_id} began {'with' if entry.force else 'without'} --force; give another --id")
    if not options.yes:
        return await (_estimate(options, context) if entry is None else _state(options, entry))
    if entry is None:
        entry = await _freeze(options, context, manifest)
    return await _send(options, context, manifest, entry)


async def _estimate(options: ReplayOptions, context: ReplayContext) -> int:
    """Say what the replay would do."""
    from worker.replay.replayer import estimate

    with console(stderr=True).status("Counting …"):
        counted = await estimate(_candidates(options, context))
    calls, seconds = counted.calls(force=options.force), counted.seconds(options.rate)
    _say(
        options,
        {"uploads": counted.uploads, "endpoint_calls_at_most": calls, "seconds": round(seconds, 1), "sent": 0},
        f"{counted.uploads:,} uploads would be enqueued in about {_time(seconds)}, with at most {calls:,} calls of "
        "the endpoint. Nothing was changed; --yes does it.",
    )
    return 0


async def _state(options: ReplayOptions, entry: "ManifestEntry") -> int:
    """Say how far a replay is that began before."""
    left = entry.total - entry.sent
    _say(
        options,
        {"replay_id": entry.replay_id, "uploads": entry.total, "sent": entry.sent, "seconds": left / options.rate},
        f"Replay {entry.replay_id} ({entry.description}): {entry.sent:,} of {entry.total:,} uploads are enqueued. "
        "Nothing was changed; --yes goes on.",
    )
    return 0


async def _freeze(options: ReplayOptions, context: ReplayContext, manifest: "Manifest") -> "ManifestEntry":
    from worker.replay.replayer import uploads_of

    with console(stderr=True).status("Choosing uploads …"):
        chosen = uploads_of(_candidates(options, context))
        return await manifest.freeze(context.replay_id, chosen, force=options.force, description=options.description())


async def _send(options: ReplayOptions, context: ReplayContext, manifest: "Manifest", entry: "ManifestEntry") -> int:
    """Send what is left of a replay; return 1 where that was interrupted."""
    from worker.messages.parse import replay_body
    from worker.replay.replayer import Replayer

    replay_id = context.replay_id
    replayer = Replayer(
        sqs=context.aws.sqs, queue_url=context.queue_url, results=context.results, manifest=manifest, encode=replay_body
    )
    with _progress(entry.total) as show, _interrupts() as stopping:
        entry = await replayer.run(
            replay_id, pace=context.pace, stopping=stopping, on_progress=lambda state: show(state.sent)
        )
    said = {"replay_id": replay_id, "uploads": entry.total, "sent": entry.sent, "done": entry.done}
    if entry.done:
        _say(options, said, f"{entry.sent:,} uploads are enqueued. What changes: receipts diff --replay {replay_id}")
        return 0
    _say(
        options,
        said,
        f"Interrupted at {entry.sent:,} of {entry.total:,}. Go on: receipts replay --id {replay_id} --yes",
    )
    return 1


def _candidates(options: ReplayOptions, context: ReplayContext) -> AsyncIterator["Candidate"]:
    from worker.replay.replayer import from_keys, from_prefix, from_table

    results, aws = context.results, context.aws
    if options.keys:
        return from_keys(results, aws.s3, [_named(key, context.bucket) for key in options.keys])
    if options.prefix is not None:
        bucket, _, prefix = options.prefix.removeprefix("s3://").partition("/")
        if not options.prefix.startswith("s3://") or not bucket:
            raise BadQuery("--prefix is written s3://BUCKET/PREFIX")
        return from_prefix(results, aws.s3, bucket, prefix, recorded=options.recorded)
    return from_table(results, options.selection, older_than=options.older_than_model)


def _named(key: str, bucket: str | None) -> list[str]:
    possible = documents_named(key, bucket)
    if not possible:
        raise BadQuery(f"{safe(key)} is no BUCKET/KEY, and RECEIPTS_BUCKET is not set")
    return possible


async def _redrive(options: ReplayOptions, context: ReplayContext) -> int:
    from worker.errors import Malformed
    from worker.messages.parse import parse, replay_body
    from worker.replay.dead_letters import DeadLetterFilter, DeadLetters, ReplayCommand

    def read(body: str) -> tuple[Any, ...]:
        try:
            return parse(body).uploads
        except Malformed:
            return ()

    wanted = DeadLetterFilter(
        reason=options.selection.reason,
        older_than_s=_seconds(options.older_than),
        younger_than_s=_seconds(options.younger_than),
    )
    letters = DeadLetters(
        sqs=context.aws.sqs, queue_url=context.queue_url, results=context.results, read=read, encode=replay_body
    )
    url, arn = await letters.addresses()
    if not options.yes:
        return await _look(options, letters, url, wanted)
    with _progress(await letters.count(url)) as show, _interrupts() as stopping:
        moved: int | None = None
        if wanted.everything and not options.force:
            moved = await letters.move_all(arn, pace=context.pace, stopping=stopping, on_progress=show)
        if moved is None:
            command = ReplayCommand(replay_id=context.replay_id, force=options.force)
            moved = await letters.redrive(url, wanted, command, pace=context.pace, stopping=stopping, on_progress=show)
        done = not stopping()
    said = {"replay_id": context.replay_id, "messages": moved, "done": done}
    _say(options, said, f"{moved:,} messages went back to work.")
    return 0 if done else 1


async def _look(options: ReplayOptions, letters: "DeadLetters", url: str, wanted: "DeadLetterFilter") -> int:
    """Count the dead letters that fit."""
    if wanted.everything:
        messages = uploads = await letters.count(url)
    else:
        with console(stderr=True).status("Looking at dead letters …"):
            messages, uploads = await letters.look(url, wanted)
    _say(
        options,
        {"messages": messages, "endpoint_calls_at_most": uploads, "seconds": round(messages / options.rate, 1)},
        f"{messages:,} messages would go back to work in about {_time(messages / options.rate)}, with at most "
        f"about {uploads:,} calls of the endpoint. Nothing was changed; --yes does it.",
    )
    return 0


def _say(options: ReplayOptions, content: dict[str, Any], sentence: str) -> None:
    if options.as_json:
        typer.echo(json.dumps(content))
    else:
        console().print(sentence, markup=False, soft_wrap=True)


def _time(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _seconds(text: str | None) -> float | None:
    """Return an age such as "30m" in seconds."""
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadQuery(f"{text!r} is no age; write 90s, 30m, 12h or 2d")
    return int(match[1]) * _UNITS[match[2]]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    err = console(stderr=True)
    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, disable=not err.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Give whether Ctrl-C or SIGTERM came: the first ends the work in good order, the second at once."""
    stopped = False
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        nonlocal stopped
        stopped = True
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield lambda: stopped
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
