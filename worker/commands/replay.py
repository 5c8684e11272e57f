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

from worker.commands.naming import HELP, documents_named
from worker.commands.selecting import selecting
from worker.commands.terminal import console, safe
from worker.results.selection import BadQuery, Selection

if TYPE_CHECKING:
    from worker.aws import Clients
    from worker.results.deadletters import DeadLetters, Filter
    from worker.results.ledger import Entry, Ledger
    from worker.results.query import Results
    from worker.results.replay import Candidate, Pace

SOURCES: Final = "What to replay: KEYS, --prefix, --dead-letters, conditions on records, or --id of one that began."
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class Wish:
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
        """Return the source in words, for whoever looks at the ledger."""
        if self.keys:
            return f"{len(self.keys)} keys"
        if self.prefix is not None:
            return f"objects under {self.prefix}"
        conditions = {name: value for name, value in vars(self.selection).items() if value not in (None, ())}
        return ", ".join(f"{name}={value}" for name, value in conditions.items())[:1_000] or "records"


@dataclass(frozen=True, kw_only=True)
class Tools:
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
        wish = Wish(
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
        code = asyncio.run(_replay(wish))
    except BadQuery as error:
        raise typer.BadParameter(str(error)) from error
    raise typer.Exit(code)


async def _replay(wish: Wish) -> int:
    """Do what is asked; return the exit code: 0 done, 1 interrupted."""
    from worker.aws import clients
    from worker.results.query import Results
    from worker.results.replay import Pace, checked_id, new_id
    from worker.settings import load

    settings = load()
    settings.require("queue_url")
    async with clients(settings, attempts=5) as aws:
        tools = Tools(
            aws=aws,
            results=Results(aws.dynamodb, settings.table),
            queue_url=str(settings.queue_url),
            bucket=settings.bucket,
            table=settings.table,
            replay_id=checked_id(wish.replay_id) if wish.replay_id else new_id(dt.datetime.now(dt.UTC)),
            pace=Pace(per_s=wish.rate),
        )
        return await (_redrive(wish, tools) if wish.dead_letters else _resend(wish, tools))


async def _resend(wish: Wish, tools: Tools) -> int:
    from worker.results.ledger import Ledger

    replay_id = tools.replay_id
    ledger = Ledger(tools.aws.dynamodb, tools.table, clock=time.time)
    entry = await ledger.find(replay_id)
    if entry is None and wish.resumed:
        raise BadQuery(f"there is no replay {replay_id} to go on with. {SOURCES}")
    if entry is not None and entry.force != wish.force and not wish.resumed:
        raise BadQuery(f"replay {replay_id} began {'with' if entry.force else 'without'} --force; give another --id")
    if not wish.yes:
        return await (_estimate(wish, tools) if entry is None else _state(wish, entry))
    if entry is None:
        entry = await _freeze(wish, tools, ledger)
    return await _send(wish, tools, ledger, entry)


async def _estimate(wish: Wish, tools: Tools) -> int:
    """Say what the replay would do."""
    from worker.results.replay import estimate

    with console(stderr=True).status("Counting …"):
        counted = await estimate(_candidates(wish, tools))
    calls, seconds = counted.calls(force=wish.force), counted.seconds(wish.rate)
    _say(
        wish,
        {"uploads": counted.uploads, "endpoint_calls_at_most": calls, "seconds": round(seconds, 1), "sent": 0},
        f"{counted.uploads:,} uploads would be enqueued in about {_time(seconds)}, with at most {calls:,} calls of "
        "the endpoint. Nothing was changed; --yes does it.",
    )
    return 0


async def _state(wish: Wish, entry: "Entry") -> int:
    """Say how far a replay is that began before."""
    left = entry.total - entry.sent
    _say(
        wish,
        {"replay_id": entry.replay_id, "uploads": entry.total, "sent": entry.sent, "seconds": left / wish.rate},
        f"Replay {entry.replay_id} ({entry.description}): {entry.sent:,} of {entry.total:,} uploads are enqueued. "
        "Nothing was changed; --yes goes on.",
    )
    return 0


async def _freeze(wish: Wish, tools: Tools, ledger: "Ledger") -> "Entry":
    from worker.results.replay import uploads_of

    with console(stderr=True).status("Choosing uploads …"):
        chosen = uploads_of(_candidates(wish, tools))
        return await ledger.freeze(tools.replay_id, chosen, force=wish.force, description=wish.description())


async def _send(wish: Wish, tools: Tools, ledger: "Ledger", entry: "Entry") -> int:
    """Send what is left of a replay; return 1 where that was interrupted."""
    from worker.messages.parse import replay_body
    from worker.results.replay import Replayer

    replay_id = tools.replay_id
    replayer = Replayer(
        sqs=tools.aws.sqs, queue_url=tools.queue_url, results=tools.results, ledger=ledger, encode=replay_body
    )
    with _progress(entry.total) as show, _interrupts() as stopping:
        entry = await replayer.run(
            replay_id, pace=tools.pace, stopping=stopping, on_progress=lambda state: show(state.sent)
        )
    said = {"replay_id": replay_id, "uploads": entry.total, "sent": entry.sent, "done": entry.done}
    if entry.done:
        _say(wish, said, f"{entry.sent:,} uploads are enqueued. What changes: receipts diff --replay {replay_id}")
        return 0
    _say(wish, said, f"Interrupted at {entry.sent:,} of {entry.total:,}. Go on: receipts replay --id {replay_id} --yes")
    return 1


def _candidates(wish: Wish, tools: Tools) -> AsyncIterator["Candidate"]:
    from worker.results.replay import from_keys, from_prefix, from_table

    results, aws = tools.results, tools.aws
    if wish.keys:
        return from_keys(results, aws.s3, [_named(key, tools.bucket) for key in wish.keys])
    if wish.prefix is not None:
        bucket, _, prefix = wish.prefix.removeprefix("s3://").partition("/")
        if not wish.prefix.startswith("s3://") or not bucket:
            raise BadQuery("--prefix is written s3://BUCKET/PREFIX")
        return from_prefix(results, aws.s3, bucket, prefix, recorded=wish.recorded)
    return from_table(results, wish.selection, older_than=wish.older_than_model)


def _named(key: str, bucket: str | None) -> list[str]:
    possible = documents_named(key, bucket)
    if not possible:
        raise BadQuery(f"{safe(key)} is no BUCKET/KEY, and RECEIPTS_BUCKET is not set")
    return possible


async def _redrive(wish: Wish, tools: Tools) -> int:
    from worker.errors import Malformed
    from worker.messages.parse import parse, replay_body
    from worker.results.deadletters import Command, DeadLetters, Filter

    def read(body: str) -> tuple[Any, ...]:
        try:
            return parse(body).uploads
        except Malformed:
            return ()

    wanted = Filter(
        reason=wish.selection.reason, older_than_s=_seconds(wish.older_than), younger_than_s=_seconds(wish.younger_than)
    )
    letters = DeadLetters(
        sqs=tools.aws.sqs, queue_url=tools.queue_url, results=tools.results, read=read, encode=replay_body
    )
    url, arn = await letters.addresses()
    if not wish.yes:
        return await _look(wish, letters, url, wanted)
    with _progress(await letters.count(url)) as show, _interrupts() as stopping:
        moved: int | None = None
        if wanted.everything and not wish.force:
            moved = await letters.move_all(arn, pace=tools.pace, stopping=stopping, on_progress=show)
        if moved is None:
            command = Command(replay_id=tools.replay_id, force=wish.force)
            moved = await letters.redrive(url, wanted, command, pace=tools.pace, stopping=stopping, on_progress=show)
        done = not stopping()
    said = {"replay_id": tools.replay_id, "messages": moved, "done": done}
    _say(wish, said, f"{moved:,} messages went back to work.")
    return 0 if done else 1


async def _look(wish: Wish, letters: "DeadLetters", url: str, wanted: "Filter") -> int:
    """Count the dead letters that fit."""
    if wanted.everything:
        messages = uploads = await letters.count(url)
    else:
        with console(stderr=True).status("Looking at dead letters …"):
            messages, uploads = await letters.look(url, wanted)
    _say(
        wish,
        {"messages": messages, "endpoint_calls_at_most": uploads, "seconds": round(messages / wish.rate, 1)},
        f"{messages:,} messages would go back to work in about {_time(messages / wish.rate)}, with about {uploads:,} "
        "calls of the endpoint at most. Nothing was changed; --yes does it.",
    )
    return 0


def _say(wish: Wish, content: dict[str, Any], sentence: str) -> None:
    if wish.as_json:
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
