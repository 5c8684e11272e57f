"""One upload that is being worked on, and the record of its result."""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from worker.receipts.checks import check, confidence, decide
from worker.receipts.document import Upload, Version, timestamp
from worker.receipts.record import CheckResult, Record, Status

if TYPE_CHECKING:
    from worker.messages.leases import Lease
    from worker.results.answer import Answer

TRACE_NAMESPACE: Final = uuid.UUID("6e2b1c3a-6a44-5f0c-9c53-0d6f6f1d9a57")


@dataclass(frozen=True)
class Fetched:
    """An upload as S3 delivered it."""

    upload: Upload
    """The upload with the etag of the bytes that were fetched."""
    sha256: str


@dataclass
class Job:
    """One upload that is being worked on under the lease of its message."""

    requested: Upload
    """The upload as the message names it."""
    lease: "Lease"
    last_receive: bool
    """Whether this is the last delivery of the message."""
    timings: dict[str, int] = field(default_factory=dict)
    """Milliseconds by stage."""
    fetched: Fetched | None = None
    """Set once the upload has been fetched."""
    attempts: int = 0
    """Calls of the endpoint that this job made."""

    @property
    def upload(self) -> Upload:
        """The upload as far as it is known: as fetched, or else as the message names it."""
        return self.fetched.upload if self.fetched else self.requested

    @cached_property
    def trace_id(self) -> str:
        """The id that every delivery and every attempt of the upload shares."""
        upload = self.requested
        version = Version.of(upload).own_id or upload.sequencer or upload.uploaded_at.isoformat()
        return str(uuid.uuid5(TRACE_NAMESPACE, f"{upload.document}\n{version}"))

    @property
    def forced_replay(self) -> str | None:
        """The replay that requests a new answer even if the content has one."""
        return self.requested.replay_id if self.requested.force else None


class RecordMaker:
    """Makes the record of a job from its result."""

    def __init__(self, *, review_threshold: float, expire_days: int | None, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._review_threshold = review_threshold
        self._expire_days = expire_days
        self._clock = clock

    def of_answer(self, job: Job, answer: "Answer", *, shared: bool) -> Record:
        """Return the record of an upload that the endpoint answered; `shared` if the answer was there before."""
        today = dt.datetime.fromtimestamp(self._clock(), dt.UTC).date()
        findings = check(answer.reading.receipt, today=today, left_out=answer.reading.left_out)
        return Record(
            **self._common(job),
            status=decide(answer.reading, findings, threshold=self._review_threshold),
            media_type=answer.media_type,
            pages=answer.pages,
            receipt=answer.reading.receipt,
            confidence=confidence(answer.reading, findings),
            field_confidence=answer.reading.confidence,
            checks=tuple(map(CheckResult.of, findings)),
            model=answer.model,
            answered_at=answer.answered_at,
            answered_from=answer.document if shared and answer.document != job.upload.document else None,
            receipt_object=answer.receipt_object,
        )

    def of_failure(self, job: Job, status: Status, reason: str, detail: str) -> Record:
        """Return the record of an upload without an answer."""
        return Record(**self._common(job), status=status, reason=reason, detail=detail or None)

    def _common(self, job: Job) -> dict[str, Any]:
        """Return the fields that every record of `job` has."""
        version = Version.of(job.upload)
        now = self._clock()
        return {
            "document": job.upload.document,
            "version_id": version.version_id,
            "etag": version.etag,
            "sequencer": version.sequencer,
            "uploaded_at": version.uploaded_at,
            "stored_at": timestamp(dt.datetime.fromtimestamp(now, dt.UTC)),
            "content_sha256": job.fetched.sha256 if job.fetched else None,
            "attempts": job.attempts,
            "receives": job.lease.received.receives,
            "timings_ms": job.timings,
            "trace_id": job.trace_id,
            "replay_id": job.upload.replay_id,
            "expires_at": int(now) + self._expire_days * 86_400 if self._expire_days else None,
        }
