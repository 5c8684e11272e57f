"""One run of `receipts local`: receipts go in and records come out, until all are done or Ctrl-C."""

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
"""Reading the table takes at most one part in SHARE of the time."""
SHORT_LIFE_S = 5.0
SHORT_LIVES = 3
"""Number of consecutive workers that may end within SHORT_LIFE_S; then the run gives up."""


@dataclass(frozen=True, kw_only=True)
class SessionRequest:
    """The request for one run."""

    files: tuple[Path, ...] = ()
    """Receipts to read; if empty, the project's samples."""
    once: bool = False
    """Whether to end when they are done."""
    data: Path | None = None
    inbox: Path | None = None
    workers: int = 1
    max_workers: int | None = None
    """If set, workers scale with the queue from `workers` up to this number."""
    ports: Ports = field(default_factory=Ports)
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    """The settings that result from `variables` in the workers."""


class Screen(Protocol):
    """The output of a run."""

    def note(self, sentence: str) -> None:
        """Show a note to the person."""

    def ready(self, part: str) -> None:
        """Show that a part of the stack is ready."""

    def sending(self, total: int) -> None:
        """Show how many receipts are being sent."""

    def done(self, record: Record) -> None:
        """Show that one of them has its record."""

    def summary(self, found: list[Record]) -> None:
        """Show the records of all of them."""

    def running(self, instructions: Sequence[str]) -> None:
        """Show how to send more receipts."""

    def arrived(self, record: Record) -> None:
        """Show a record that arrived later."""


class Session:
    """A run of `request` that reports to `screen`."""

    def __init__(self, request: SessionRequest, screen: Screen) -> None:
        self._request = request
        self._screen = screen
        self._interrupted = asyncio.Event()
        self._stack: Stack | None = None

    def interrupt(self) -> None:
        """End the run in order. A second call kills its processes at once."""
        if self._interrupted.is_set() and self._stack:
            self._stack.abandon()
        self._interrupted.set()

    async def run(self) -> bool:
        """Run until done or interrupted; return whether every requested receipt was extracted.

        Raises `ReceiptsError` if a part of the stack does not start or fails permanently.
        """
        work = asyncio.create_task(self._run(), name="session")
        interrupted = asyncio.create_task(self._interrupted.wait(), name="interrupt")
        await asyncio.wait({work, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()
        if not work.done():
            self._screen.note("Stopping … (press Ctrl-C again to kill everything at once)")
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await work
            return False
        return await work

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted."""
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
            _running(self._supervise(stack), name="supervise the stack") as watching,
            _running(self._scale(stack), name="scale the workers") as scaling,
        ):
            if stack.enqueued_again:
                self._screen.note(
                    f"The last run on {request.data} was not shut down properly. {stack.enqueued_again} uploads "
                    "without a record were enqueued again."
                )
            stack.publish()
            first = asyncio.create_task(self._first(stack), name="first receipts")
            try:
                await asyncio.wait({first, watching, scaling}, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    await _first_of(watching, scaling)  # raises, because these tasks end only by failing
                found = await first
            finally:
                await _cancelled({first})
            if request.once:
                return all(record.status == "extracted" for record in found)
            await self._keep_running(stack, {watching, scaling}, inbox=inbox, shown=found)
        return True

    async def _first(self, stack: Stack) -> list[Record]:
        """Send the requested files or the samples, and return their records."""
        files = self._request.files or tuple(sample_files())
        named = uploads.keys(files, prefix="" if self._request.files else "samples/")
        for path, key in named.items():
            if not key.endswith(path.name):
                self._screen.note(f"{path} is uploaded as {key}, because another file has its name.")
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

    async def _keep_running(
        self, stack: Stack, watching: "set[asyncio.Task[None]]", *, inbox: Path | None, shown: list[Record]
    ) -> None:
        """Show the records of all later uploads, until a part of the stack fails."""
        feed = Feed(stack.clients.dynamodb, stack.resources.table)
        await feed.news()
        for record in shown:
            feed.mark(record)
        self._screen.running(instructions(stack, inbox))
        tasks = {*watching, asyncio.create_task(self._follow(feed), name="follow the table")}
        if inbox:
            tasks.add(asyncio.create_task(self._upload_inbox(inbox, stack), name="upload the inbox"))
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

    async def _upload_inbox(self, path: Path, stack: Stack) -> None:
        inbox = inboxes.Inbox(path, tell=self._screen.note)
        async for file in inbox.files():
            try:
                await ensure(stack, file, inbox.key(file))
            except (OSError, ClientError) as error:
                self._screen.note(f"{file} was not uploaded: {error}")

    async def _scale(self, stack: Stack) -> None:
        """Scale the workers with the queue, if requested; otherwise wait until cancelled."""
        most = self._request.max_workers
        if most is None:
            await asyncio.Event().wait()
            return
        policy = local_policy(least=self._request.workers, most=most, slots=self._request.settings.max_in_flight)
        await Autoscaler(stack, policy, tell=self._screen.note).run()

    async def _supervise(self, stack: Stack) -> None:
        """Report processes that end unexpectedly, and replace workers as ECS does."""
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
                raise ReceiptsError(
                    f"{SHORT_LIVES} workers in a row ended soon after their start. The last one, {death}"
                )
            self._screen.note(
                f"{death}\nAnother worker replaces it. Its messages return to the queue when their visibility timeout "
                f"ends, within {self._request.settings.visibility_s:g} s."
            )
            await stack.add_worker()


async def ensure(stack: Stack, path: Path, key: str, *, again: bool = False) -> Uploaded:
    """Upload the file `path` to the stack's bucket, unless `key` has the same content already.

    `again` uploads it in any case.
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
        # The ETag of an object that was uploaded in one part is its MD5
        # (docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
        if not again and etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
            moment = timestamp(there["LastModified"])
            version = Version(uploaded_at=moment, version_id=there.get("VersionId"), etag=etag)
            return Uploaded(bucket=bucket, key=key, version=version)
    return await uploads.put(stack.clients.s3, path, bucket=bucket, key=key)


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator["asyncio.Task[None]"]:
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
