"""The work on one upload: fetch, claim, prepare, invoke, check, store.

The lease of the message is checked before every write. An error of `worker.errors` ends the work, and becomes an
outcome here.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from worker.errors import DependencyFault, Failed, LeaseLost, ReceiptsError, Rejected
from worker.extraction.endpoint import Endpoint
from worker.extraction.pages import ImageLimits, Prepared
from worker.extraction.prepare import refuse_undecodable
from worker.extraction.sandbox import Sandbox
from worker.messages.outcomes import Done, Outcome, Reject, Release, Retry
from worker.receipts.document import Version, timestamp
from worker.receipts.record import UNFINISHED, Record, Status
from worker.resilience.dependency import Dependency
from worker.resilience.faults import classify
from worker.results.answer import Answer
from worker.results.claims import Claim, Claims
from worker.results.duplicates import Duplicates
from worker.results.store import ResultsStore
from worker.runtime.fetch import Fetcher
from worker.runtime.job import Fetched, Job, RecordMaker
from worker.telemetry import Telemetry

log = structlog.get_logger(__name__)
T = TypeVar("T")

_COUNTER: Final[dict[Status, str]] = {
    "extracted": "Extracted",
    "needs_review": "NeedsReview",
    "rejected": "Rejected",
    "failed": "Failed",
}


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The collaborators of a pipeline, one for each stage."""

    fetcher: Fetcher
    claims: Claims
    images: ImageLimits
    sandbox: Sandbox
    machine: Dependency
    """This process: while it lacks memory or descriptors, decoding waits."""
    executor: Executor
    """Decodes and hashes pictures."""
    endpoint: Endpoint
    records: RecordMaker
    duplicates: Duplicates
    store: ResultsStore


class Pipeline:
    """Works on uploads, one call for each; concurrent calls are independent."""

    def __init__(self, stages: Stages, telemetry: Telemetry, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch."""
        self._stages = stages
        self._telemetry = telemetry
        self._clock = clock

    async def process(self, job: Job, *, may_be_known: bool) -> Outcome:
        """Work on one upload and return its outcome; `may_be_known` if the table may have its record already."""
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(document=job.upload.document, trace_id=job.trace_id):
            outcome = await self._outcome(job, may_be_known=may_be_known)
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

    async def _outcome(self, job: Job, *, may_be_known: bool) -> Outcome:
        job.timings["waited"] = max(0, round((self._clock() - job.upload.uploaded_at.timestamp()) * 1000))
        try:
            if may_be_known and (known := await self._known(job)):
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
        """Retry later; on the last receive, which has no retry, store a record."""
        retry = Retry(reason)
        return await self._end(job, "failed", reason, detail, retry) if job.last_receive else retry

    async def _record_unfinished(self, job: Job) -> None:
        """Store a provisional `failed` record before the last attempt, in case the attempt kills the worker.

        Every outcome of the attempt replaces it.
        """
        detail = "the last attempt did not finish"
        record = self._stages.records.of_failure(job, "failed", UNFINISHED, detail)
        await self._stages.store.put(record, before_write=job.lease.check)

    async def _known(self, job: Job) -> Outcome | None:
        """Return the outcome if the table already has what the message requests, or None."""
        record = await self._stages.store.get(job.upload.document)
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
        """Get the answer to the upload's content, from the table or the endpoint, and store the record."""
        answer, shared = await self._answer(job)
        record = self._stages.records.of_answer(job, answer, shared=shared)
        if duplicate := await self._possible_duplicate(record):
            record = Record(**dict(record) | {"possible_duplicate_of": duplicate})
        return await self._store(job, record, Done(record.status))

    async def _possible_duplicate(self, record: Record) -> str | None:
        """Return the document that `record` may duplicate; a fault of the table leaves the record unmarked."""
        try:
            return await self._stages.duplicates.lookup(record)
        except Exception as error:  # the mark is worth one attempt, storing the record many
            if not isinstance(classify("dynamodb", error), ReceiptsError):
                raise
            log.info("duplicate.not_looked_up", error=type(error).__name__)
            return None

    async def _answer(self, job: Job) -> tuple[Answer, bool]:
        """Return the answer to the upload's content, and whether it was there before."""
        prepared: Prepared | None = None
        async with AsyncExitStack() as claims:
            began = time.perf_counter()
            async with self._stages.fetcher.fetch(job.upload) as (job.fetched, data):
                self._stage(job, "fetch", began)
                claim = await claims.enter_async_context(self._hold(job, job.fetched))
                if claim.answer is None:
                    prepared = await self._prepare(job, data)
                del data  # the bytes must not stay in memory during the invocation
            return await claim.answered_by(lambda: self._ask(job, claim, prepared)), claim.shared

    def _hold(self, job: Job, fetched: Fetched) -> AbstractAsyncContextManager[Claim]:
        return self._stages.claims.hold(fetched.sha256, replay=job.forced_replay, check_lease=job.lease.check)

    async def _prepare(self, job: Job, data: bytes) -> Prepared:
        began = time.perf_counter()
        prepared = await self._stages.machine.call(
            lambda: self._in_executor(self._stages.sandbox.prepare, data, self._stages.images),
            work=job.upload.document,
        )
        self._stage(job, "prepare", began)
        return prepared

    async def _ask(self, job: Job, claim: Claim, prepared: Prepared | None) -> Answer:
        """Invoke the endpoint and store its answer in the content row."""
        assert prepared is not None  # noqa: S101 - a content without an answer was prepared
        began = time.perf_counter()
        try:
            invoked = await self._stages.endpoint.read(prepared, work=job.upload.document, before_call=claim.renew)
        except Failed as error:
            if error.reason == "model_refused":  # decoding may show that no other attempt can succeed
                await self._in_executor(refuse_undecodable, prepared)
            raise
        self._stage(job, "invoke", began)
        job.attempts = invoked.attempts
        answer = Answer(
            reading=invoked.reading,
            model=invoked.model,
            attempts=invoked.attempts,
            answered_at=timestamp(dt.datetime.fromtimestamp(self._clock(), dt.UTC)),
            document=job.upload.document,
            media_type=prepared.media_type,
            pages=prepared.page_count,
        )
        return await claim.keep(answer, bucket=job.upload.bucket)

    async def _end(self, job: Job, status: Status, reason: str, detail: str, outcome: Outcome) -> Outcome:
        """Store the record of an upload without an answer, and return `outcome`, or why it cannot be stored."""
        record = self._stages.records.of_failure(job, status, reason, detail)
        try:
            return await self._store(job, record, outcome)
        except (Failed, DependencyFault) as error:
            return Retry(error.reason)
        except LeaseLost as lost:
            return Release(str(lost) or "lease_lost")

    async def _store(self, job: Job, record: Record, outcome: Outcome) -> Outcome:
        """Store `record`; return `outcome`, or another one if the record that was there stays."""
        began = time.perf_counter()
        kept = await self._stages.store.put(record, before_write=job.lease.check)
        self._stage(job, "store", began)
        if kept.stored_at == record.stored_at and kept.trace_id == record.trace_id:
            self._telemetry.count(_COUNTER[record.status])
            return outcome
        if isinstance(outcome, Retry) and kept.status == "failed" and kept.version.same_as(record.version):
            return outcome  # it failed before and fails again: the message goes where the first one went
        self._telemetry.count("Duplicates")
        return Done("duplicate" if kept.version.same_as(record.version) else "superseded")

    async def _in_executor(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._stages.executor, function, *arguments)

    def _stage(self, job: Job, name: str, began: float) -> None:
        elapsed = (time.perf_counter() - began) * 1000
        job.timings[name] = round(elapsed)
        self._telemetry.stage(name, elapsed)
