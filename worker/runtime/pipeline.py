"""The way of one receipt: fetch, claim, prepare, invoke, read, check, store.

Nothing here knows about messages but the lease that the work is done under: it is asked before everything that is
written. What can go wrong comes as an error of `worker.errors` and leaves as an outcome.
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.aws.hashed import Hashed
from worker.errors import DependencyFault, Failed, LeaseLost, Malformed, Rejected
from worker.extraction.endpoint import Endpoint, Invoked
from worker.extraction.memory import ByteBudget
from worker.extraction.prepare import ImageLimits, Prepared, refuse_undecodable
from worker.extraction.sandbox import prepare
from worker.messages.outcomes import DeadLetter, Done, Outcome, Reject, Release, Retry, combine
from worker.messages.parse import parse
from worker.receipts.document import Upload, Version, timestamp
from worker.receipts.record import UNFINISHED, Record, Status
from worker.resilience.dependency import Dependency
from worker.results.duplicates import Duplicates
from worker.results.offload import Offload
from worker.results.store import Answer, Answered, Claimed, ResultsStore
from worker.runtime.job import Job, RecordMaker
from worker.telemetry import Telemetry

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

    from worker.messages.leases import Lease
    from worker.messages.queue import Received

log = structlog.get_logger(__name__)

BUSY_PAUSE_S = 1.0
"""Pause between two looks at a content that somebody else has claimed, seconds."""
KEEP_S = 1.5
"""Time that writing down an answer gets when the work on it is stopped, seconds; with `RELEASE_S` it is less than what
the consumer gives to handing back."""
RELEASE_S = 1.0
"""Time that giving up a claim gets, seconds."""
HASHED_AT_ONCE_BYTES = 1_048_576
"""An upload up to this size is hashed where it is, in less than a millisecond: a thread takes as long to be woken."""
T = TypeVar("T")

_COUNTER: Final[dict[Status, str]] = {
    "extracted": "Extracted",
    "needs_review": "NeedsReview",
    "rejected": "Rejected",
    "failed": "Failed",
}


@dataclass(frozen=True, kw_only=True)
class PipelinePolicy:
    """What the work on one receipt keeps to."""

    images: ImageLimits
    upload_limit_bytes: int
    fetch_s: float
    """How long an upload may take to come, once S3 has begun to send it."""
    claim_s: float
    """How long a content is claimed: longer than one call of the endpoint may take."""


@dataclass(frozen=True)
class _Fetched:
    upload: Upload
    """As S3 has it: with the etag of what was fetched."""
    data: bytes
    sha256: str


class Pipeline:
    """Works on uploads, one call each, any number at a time."""

    def __init__(
        self,
        *,
        s3: "S3Client",
        s3_dependency: Dependency,
        store: ResultsStore,
        duplicates: Duplicates | None = None,
        endpoint: Endpoint,
        offload: Offload,
        executor: Executor,
        budget: ByteBudget,
        policy: PipelinePolicy,
        records: RecordMaker,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`executor` decodes pictures; `clock` gives seconds since the epoch."""
        self._s3 = s3
        self._s3_dependency = s3_dependency
        self._store = store
        self._duplicates = duplicates
        self._endpoint = endpoint
        self._offload = offload
        self._executor = executor
        self._budget = budget
        self._policy = policy
        self._records = records
        self._telemetry = telemetry
        self._clock = clock
        self._sleep = sleep

    async def message(self, received: "Received", lease: "Lease", *, last_receive: bool) -> Outcome:
        """Work on everything that one message names; return what becomes of the message."""
        age_s = round(self._clock() - received.sent_at, 1) if received.sent_at else None
        with structlog.contextvars.bound_contextvars(
            message_id=received.message_id, receives=received.receives, age_s=age_s
        ):
            return await self._message(received, lease, last_receive=last_receive)

    async def _message(self, received: "Received", lease: "Lease", *, last_receive: bool) -> Outcome:
        try:
            message = parse(received.body)
        except Malformed as error:
            log.warning("message.malformed", outcome="deadletter", reason=error.reason, detail=error.detail)
            return DeadLetter(error.reason)
        if message.ignored:
            self._telemetry.count("Ignored")
            log.info("message.ignored", outcome="done", reason=message.ignored)
            return Done("ignored", message.ignored)
        outcomes: list[Outcome] = []
        for upload in message.uploads:
            job = Job(upload, lease, last_receive)
            outcomes.append(await self._upload(job, maybe_known=received.receives > 1 or upload.replay_id is not None))
            if isinstance(outcomes[-1], Release):
                break
        if message.malformed:
            outcomes.append(DeadLetter(message.malformed))
        return combine(outcomes)

    async def _upload(self, job: Job, *, maybe_known: bool) -> Outcome:
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(document=job.upload.document, trace_id=job.trace_id):
            outcome = await self._outcome(job, maybe_known=maybe_known)
            elapsed = round((time.perf_counter() - began) * 1000)
            self._telemetry.stage("total", elapsed)
            log.info(
                "upload",
                outcome=type(outcome).__name__.lower(),
                status=getattr(outcome, "status", None),
                reason=getattr(outcome, "reason", None),
                ms=elapsed,
                stages=job.timings,
                attempts=job.attempts,
            )
        return outcome

    async def _outcome(self, job: Job, *, maybe_known: bool) -> Outcome:
        job.timings["waited"] = max(0, round((self._clock() - job.upload.uploaded_at.timestamp()) * 1000))
        try:
            if maybe_known and (known := await self._known(job)):
                return known
            if job.last_receive:
                await self._record_unfinished(job)
            return await self._read(job)
        except Rejected as error:
            return await self._end(job, "rejected", error.reason, error.detail, Reject(error.reason))
        except (Failed, DependencyFault) as error:
            return await self._failed(job, error.reason, error.detail)
        except LeaseLost as lost:
            return Release(str(lost) or "lease_lost")
        except Exception as error:
            log.exception("upload.failed_unexpectedly", error=type(error).__name__)
            return await self._failed(job, "internal_error", type(error).__name__)

    async def _failed(self, job: Job, reason: str, detail: str) -> Outcome:
        """Try again later; on the last receive keep a record, because nobody will try again."""
        retry = Retry(reason)
        return await self._end(job, "failed", reason, detail, retry) if job.last_receive else retry

    async def _record_unfinished(self, job: Job) -> None:
        """Store before the last try that it failed: should it end this process, nobody would be left to say so.

        What the try comes to replaces it, because every outcome is better than this one.
        """
        detail = "the last try did not come to an end"
        record = self._records.of_failure(job, "failed", UNFINISHED, detail)
        await self._store.put(record, before_write=job.lease.check)

    async def _known(self, job: Job) -> Outcome | None:
        """Answer a message that comes again from the table, where nothing new is asked for."""
        record = await self._store.get(job.upload.document)
        if record is None:
            return None
        version = Version.of(job.upload)
        if version.older_than(record.version):
            self._telemetry.count("Duplicates")
            return Done("superseded")
        if version.same_as(record.version) and record.receipt is not None and not job.upload.force:
            self._telemetry.count("Duplicates")
            return Done("duplicate")
        return None

    async def _read(self, job: Job) -> Outcome:
        """Get the answer to the upload's content, from the table or from the endpoint, and store the record."""
        try:
            answer, shared = await self._answer(job)
        except BaseException:
            if job.content_sha256:
                await self._release(job)
            raise
        record = self._records.of_answer(job, answer, shared=shared)
        record = record.model_copy(update={"possible_duplicate_of": await self._duplicate(record)})
        return await self._store_record(job, record, Done(record.status))

    async def _duplicate(self, record: Record) -> str | None:
        """Return the document that `record` may be a duplicate of; a fault of the table leaves it unmarked."""
        if self._duplicates is None:
            return None
        try:
            return await self._duplicates.lookup(record)
        except (BotoCoreError, ClientError) as error:  # a mark is worth one try, a stored record many
            log.info("duplicate.not_looked_up", error=type(error).__name__)
            return None

    async def _answer(self, job: Job) -> tuple[Answer, bool]:
        """Return the answer to the upload's content, and whether it is another upload's."""
        async with self._fetched(job) as fetched:
            job.upload = fetched.upload
            job.content_sha256 = fetched.sha256
            answer = await self._claim(job)
            prepared = None if answer else await self._prepared(job, fetched.data)
            del fetched  # its bytes must not live as long as the invocation
        shared = answer is not None
        while answer is None:
            try:
                answer = await self._ask(job, prepared)
            except _ClaimTaken:
                answer = await self._claim(job)
                shared = answer is not None
        return answer, shared

    @asynccontextmanager
    async def _fetched(self, job: Job) -> AsyncIterator[_Fetched]:
        """Fetch the upload; its bytes count against the budget until the block is left."""
        began = time.perf_counter()
        limit = self._policy.upload_limit_bytes
        expected = min(job.upload.size if job.upload.size is not None else limit, limit)
        async with self._budget.hold(expected) as held:
            upload, data = await self._s3_dependency.call(
                lambda: self._get_object(job.upload, held.grow), work=job.upload.document
            )
            if len(data) <= HASHED_AT_ONCE_BYTES:
                data = Hashed(data)
                sha256 = data.sha256
            else:
                sha256 = await asyncio.get_running_loop().run_in_executor(self._executor, _sha256, data)
            self._stage(job, "fetch", began)
            yield _Fetched(upload, data, sha256)

    async def _get_object(self, upload: Upload, grow: Callable[[int], Awaitable[None]]) -> tuple[Upload, bytes]:
        version = {"VersionId": upload.version_id} if upload.version_id else {}
        reply: Any = await self._s3.get_object(Bucket=upload.bucket, Key=upload.key, **version)  # type: ignore[arg-type]  # a plain dict stands for the TypedDict
        async with reply["Body"] as stream:
            if "ContentLength" not in reply:  # S3 always says it; something between may not pass it on
                raise Failed("no_length", "the reply of S3 does not say how long the object is")
            size = int(reply["ContentLength"])
            if size > self._policy.upload_limit_bytes:
                limit = self._policy.upload_limit_bytes
                raise Rejected("too_large", f"the object has {size} bytes; {limit} are the limit")
            await grow(size)
            async with asyncio.timeout(self._policy.fetch_s):  # the client's own limit begins anew with each byte
                data = await stream.read()
        etag = str(reply.get("ETag", "")).strip('"') or None
        return replace(upload, etag=etag or upload.etag), data

    async def _claim(self, job: Job) -> Answer | None:
        """Claim the content, waiting for whoever has it; return its answer where there is one.

        Whose claim has ended gets another moment: after an outage of the table he has an answer to write down.
        """
        take_over = False
        while True:
            job.lease.check()
            claim = await self._store.claim(
                job.sha256, owner=job.owner, lease_s=self._policy.claim_s, anew=job.anew, take_over=take_over
            )
            if isinstance(claim, Answered):
                return claim.answer
            if isinstance(claim, Claimed):
                job.claimed_until = claim.until
                return None
            left = claim.until - self._clock()
            take_over = left <= 0
            await self._sleep(min(left, BUSY_PAUSE_S) if left > 0 else BUSY_PAUSE_S)

    async def _prepared(self, job: Job, data: bytes) -> Prepared:
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._executor, prepare, data, self._policy.images)
        self._stage(job, "prepare", began)
        return prepared

    async def _ask(self, job: Job, prepared: Prepared | None) -> Answer:
        """Ask the endpoint and keep its answer at once; raise `_ClaimTaken` where the content is not ours any more."""
        assert prepared is not None  # noqa: S101 - what was not answered was prepared
        began = time.perf_counter()
        try:
            invoked = await self._endpoint.read(
                prepared, work=job.upload.document, before_call=lambda: self._keep_claim(job)
            )
        except Failed as error:
            if error.reason == "model_refused":  # perhaps for what only decoding shows: then no other try will help
                await asyncio.get_running_loop().run_in_executor(self._executor, refuse_undecodable, prepared)
            raise
        self._stage(job, "invoke", began)
        job.attempts = invoked.attempts
        # It has been paid for: neither a stop nor a lost message must lose it.
        return await _to_the_end(self._keep(job, invoked, prepared))

    async def _keep(self, job: Job, invoked: Invoked, prepared: Prepared) -> Answer:
        """Write down what the endpoint answered; that the content is still ours is the write's own condition."""
        answer = Answer(
            reading=invoked.reading,
            model=invoked.model,
            attempts=invoked.attempts,
            answered_at=self._now(),
            document=job.upload.document,
            media_type=prepared.media_type,
            pages=prepared.page_count,
        )
        answer = await self._offload.fit_answer(answer, bucket=job.upload.bucket, sha256=job.sha256)
        await self._store.answer(job.sha256, answer, owner=job.owner, anew=job.anew)
        return answer

    async def _keep_claim(self, job: Job) -> None:
        """Make sure before a call that the content is ours until the call has ended."""
        job.lease.check()
        if job.claimed_until - self._clock() > self._policy.claim_s * 0.9:
            return
        claim = await self._store.claim(job.sha256, owner=job.owner, lease_s=self._policy.claim_s, anew=job.anew)
        if not isinstance(claim, Claimed):
            raise _ClaimTaken
        job.claimed_until = claim.until

    async def _release(self, job: Job) -> None:
        """Give up the claim, so that nobody has to wait for its end."""
        try:
            async with asyncio.timeout(RELEASE_S):
                await asyncio.shield(self._store.release(job.sha256, owner=job.owner))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it ends by itself, only later
            log.info("claim.left_to_expire", error=type(error).__name__)

    async def _end(self, job: Job, status: Status, reason: str, detail: str, outcome: Outcome) -> Outcome:
        """Store that the upload came to nothing."""
        record = self._records.of_failure(job, status, reason, detail)
        try:
            return await self._store_record(job, record, outcome)
        except (Failed, DependencyFault) as error:
            return Retry(error.reason)
        except LeaseLost as lost:
            return Release(str(lost) or "lease_lost")

    async def _store_record(self, job: Job, record: Record, outcome: Outcome) -> Outcome:
        began = time.perf_counter()
        kept = await self._store.put(record, before_write=job.lease.check)
        self._stage(job, "store", began)
        if kept.stored_at != record.stored_at or kept.trace_id != record.trace_id:
            if isinstance(outcome, Retry) and kept.status == "failed" and kept.version.same_as(record.version):
                return outcome  # it failed before and fails again: its message goes where the first one went
            self._telemetry.count("Duplicates")
            return Done("duplicate" if kept.version.same_as(record.version) else "superseded")
        self._telemetry.count(_COUNTER[record.status])
        return outcome

    def _stage(self, job: Job, name: str, began: float) -> None:
        elapsed = (time.perf_counter() - began) * 1000
        job.timings[name] = round(elapsed)
        self._telemetry.stage(name, elapsed)

    def _now(self) -> str:
        return timestamp(dt.datetime.fromtimestamp(self._clock(), dt.UTC))


class _ClaimTaken(Exception):
    """The claim ran out while the receipt waited, and somebody else has the content or has answered it."""


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns; a cancellation waits for it, `KEEP_S` seconds at most."""
    task = asyncio.create_task(work, name="keep-answer")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(task, KEEP_S)
        raise


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
