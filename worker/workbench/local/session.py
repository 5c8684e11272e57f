"""One run of the embedded stack: receipts go in, records come out, until everything asked for is done or Ctrl-C."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from worker.aws import uploads
from worker.aws.uploads import Uploaded
from worker.errors import ReceiptsError
from worker.receipts.document import Version, timestamp
from worker.receipts.record import Record
from worker.results.polling import records, wait_for
from worker.settings import Settings
from worker.workbench.local import inbox as inboxes
from worker.workbench.local.autoscaler import Autoscaler, local_policy
from worker.workbench.local.feed import Feed
from worker.workbench.local.instructions import instructions
from worker.workbench.local.samples import sample_files
from worker.workbench.local.stack import Ports, Stack

FEED_S = 0.5
SHARE = 20
"""Looking for news takes at most one part in so many of the time."""
SHORT_LIFE_S = 5.0
SHORT_LIVES = 3
"""A worker that ends so often in a row so soon is not started again."""


@dataclass(frozen=True, kw_only=True)
class SessionRequest:
    """What a run is asked to do."""

    files: tuple[Path, ...] = ()
    """Receipts to read; none means the project's samples."""
    once: bool = False
    """End when they are done."""
    data: Path | None = None
    inbox: Path | None = None
    workers: int = 1
    max_workers: int | None = None
    """Workers come and go with the queue, from `workers` up to so many; None keeps them as they are."""
    ports: Ports = field(default_factory=Ports)
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    """What the workers make of `variables`."""


class Screen(Protocol):
    """Who hears what happens."""

    def note(self, sentence: str) -> None:
        """Tell something that a person should know."""

    def ready(self, part: str) -> None:
        """Tell that a part of the stack can work."""

    def sending(self, total: int) -> None:
        """Tell how many receipts are on their way."""

    def done(self, record: Record) -> None:
        """Tell that one of them has its record."""

    def summary(self, found: list[Record]) -> None:
        """Show the records of all of them."""

    def running(self, instructions: Sequence[str]) -> None:
        """Show how to send more receipts."""

    def arrived(self, record: Record) -> None:
        """Tell of a record that was not waited for."""


class Session:
    """Runs `request` and tells `screen`."""

    def __init__(self, request: SessionRequest, screen: Screen) -> None:
        self._request = request
        self._screen = screen
        self._interrupted = asyncio.Event()
        self._stack: Stack | None = None

    def interrupt(self) -> None:
        """Ask the run to end in order; a second call kills its processes, so that nothing is waited for."""
        if self._interrupted.is_set() and self._stack:
            self._stack.abandon()
        self._interrupted.set()

    async def run(self) -> bool:
        """Run until done, or until interrupted; return whether every receipt asked for was extracted.

        Raises `ReceiptsError` where a part of the stack does not start, or ends for good.
        """
        work = asyncio.create_task(self._run(), name="session")
        interrupted = asyncio.create_task(self._interrupted.wait(), name="interrupt")
        await asyncio.wait({work, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()
        if not work.done():
            self._screen.note("Stopping … (Ctrl-C again ends everything at once)")
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await work
            return False
        return await work

    @property
    def interrupted(self) -> bool:
        """Whether it was asked to end before it was done."""
        return self._interrupted.is_set()

    async def _run(self) -> bool:
        request = self._request
        with inboxes.directory(request.inbox) if request.inbox else contextlib.nullcontext() as inbox:
            return await self._serve(inbox)

    async def _serve(self, inbox: Path | None) -> bool:
        request = self._request
        stack = Stack(
            workers=request.workers,
            data=request.data,
            ports=request.ports,
            variables=request.variables,
            tell=self._screen.ready,
        )
        self._stack = stack
        async with (
            stack,
            _beside(self._watch_over(stack), name="watch over the stack") as watching,
            _beside(self._scale(stack), name="scale the workers") as scaling,
        ):
            if stack.enqueued_again:
                self._screen.note(
                    f"The last run on {request.data} did not end in order: {stack.enqueued_again} uploads without a "
                    "record are enqueued again."
                )
            stack.publish()
            first = asyncio.create_task(self._first(stack), name="first receipts")
            try:
                await asyncio.wait({first, watching, scaling}, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    await _first_of(watching, scaling)  # raises: they end only with a part that ended for good
                found = await first
            finally:
                await _cancelled({first})
            if request.once:
                return all(record.status == "extracted" for record in found)
            await self._stay(stack, {watching, scaling}, inbox=inbox, shown=found)
        return True

    async def _first(self, stack: Stack) -> list[Record]:
        """Send the files asked for, or the samples, and wait for their records."""
        files = self._request.files or tuple(sample_files())
        named = uploads.keys(files, prefix="" if self._request.files else "samples/")
        for path, key in named.items():
            if not key.endswith(path.name):
                self._screen.note(f"{path} goes as {key}, because another file has its name.")
        self._screen.sending(len(named))
        aws, bucket, table = stack.clients, stack.resources.bucket, stack.resources.table
        before = await records(aws.dynamodb, table, [f"{bucket}/{key}" for key in named.values()])
        failed = {document for document, record in before.items() if record.status == "failed"}
        sent = [await ensure(stack, path, key, again=f"{bucket}/{key}" in failed) for path, key in named.items()]
        found: dict[str, Record] = {}
        async for upload, record in wait_for(aws.dynamodb, table, sent):
            found[upload.document] = record
            self._screen.done(record)
        ordered = [found[upload.document] for upload in sent]
        self._screen.summary(ordered)
        return ordered

    async def _stay(
        self, stack: Stack, watching: "set[asyncio.Task[None]]", *, inbox: Path | None, shown: list[Record]
    ) -> None:
        """Read what arrives by whatever way, and tell of it, until a part of the stack ends for good."""
        feed = Feed(stack.clients.dynamodb, stack.resources.table)
        await feed.news()
        for record in shown:
            feed.mark(record)
        self._screen.running(instructions(stack, inbox))
        tasks = {*watching, asyncio.create_task(self._follow(feed), name="follow the table")}
        if inbox:
            tasks.add(asyncio.create_task(self._empty(inbox, stack), name="empty the inbox"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            await _cancelled(tasks - watching)

    async def _follow(self, feed: Feed) -> None:
        while True:
            began = time.monotonic()
            for record in await feed.news():
                self._screen.arrived(record)
            await asyncio.sleep(max(FEED_S, SHARE * (time.monotonic() - began)))

    async def _empty(self, path: Path, stack: Stack) -> None:
        inbox = inboxes.Inbox(path, tell=self._screen.note)
        async for file in inbox.files():
            try:
                await ensure(stack, file, inbox.key(file))
            except (OSError, ClientError) as error:
                self._screen.note(f"{file} was not sent: {error}")

    async def _scale(self, stack: Stack) -> None:
        """Start and stop workers as the queue fills and drains, where that was asked for."""
        most = self._request.max_workers
        if most is None:
            await asyncio.Event().wait()
            return
        policy = local_policy(least=self._request.workers, most=most, slots=self._request.settings.max_in_flight)
        await Autoscaler(stack, policy, tell=self._screen.note).run()

    async def _watch_over(self, stack: Stack) -> None:
        """Tell of what ended without being asked to, and replace a worker, as ECS would."""
        short_lives = 0
        while True:
            started = time.monotonic()
            death = await stack.deaths.get()
            worker = next((worker for worker in stack.workers if worker.name == death.name), None)
            if worker is None:
                raise ReceiptsError(f"The {death}")
            stack.workers.remove(worker)
            short_lives = short_lives + 1 if time.monotonic() - started < SHORT_LIFE_S else 0
            if short_lives >= SHORT_LIVES:
                raise ReceiptsError(f"Workers do not stay alive. The last one, {death}")
            self._screen.note(
                f"{death}\nAnother worker takes its place. What it was working on comes back when its visibility "
                f"timeout ends, in {self._request.settings.visibility_s:g} s at most."
            )
            await stack.add_worker()


async def ensure(stack: Stack, path: Path, key: str, *, again: bool = False) -> Uploaded:
    """Have the file `path` in the stack's bucket: put it there, unless the same stands under `key` already.

    `again` puts it there in any case.
    """
    content = await asyncio.to_thread(path.read_bytes)
    bucket = stack.resources.bucket
    try:
        there = await stack.clients.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
            raise
    else:
        etag = there["ETag"].strip('"')
        # The etag of an object that was put in one piece is its MD5
        # (docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
        if not again and etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
            moment = timestamp(there["LastModified"])
            version = Version(uploaded_at=moment, version_id=there.get("VersionId"), etag=etag)
            return Uploaded(bucket=bucket, key=key, version=version)
    return await uploads.put(stack.clients.s3, path, bucket=bucket, key=key)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        await _cancelled({task})


async def _first_of(*tasks: "asyncio.Task[None]") -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        await task


async def _cancelled(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
