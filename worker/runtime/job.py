"""One upload being worked on, and the record that comes of it."""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from worker.receipts.checks import check, confidence, decide
from worker.receipts.document import Upload, Version, timestamp
from worker.receipts.record import CheckResult, Record, Status

if TYPE_CHECKING:
    from worker.messages.leases import Lease
    from worker.results.store import Answer

TRACE_NAMESPACE: Final = uuid.UUID("6e2b1c3a-6a44-5f0c-9c53-0d6f6f1d9a57")


@dataclass
class Job:
    """One upload being worked on under the lease of its message."""

    upload: Upload
    lease: "Lease"
    last_receive: bool
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    timings: dict[str, int] = field(default_factory=dict)
    """Milliseconds by stage."""
    content_sha256: str | None = None
    attempts: int = 0
    claimed_until: float = 0.0

    @cached_property
    def trace_id(self) -> str:
        """The id of the upload under which every delivery and every retry of it can be found."""
        version = Version.of(self.upload).own_id or self.upload.sequencer or self.upload.uploaded_at.isoformat()
        return str(uuid.uuid5(TRACE_NAMESPACE, f"{self.upload.document}\n{version}"))

    @property
    def anew(self) -> str | None:
        """The replay that wants a new answer whatever there is."""
        return self.upload.replay_id if self.upload.force else None

    @property
    def sha256(self) -> str:
        """The content's hash; asking before it was fetched is a `ValueError`."""
        if self.content_sha256 is None:
            raise ValueError("the content is not known before it was fetched")
        return self.content_sha256


class RecordMaker:
    """Makes the record of a job from what came of it."""

    def __init__(self, *, review_threshold: float, expire_days: int | None, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._review_threshold = review_threshold
        self._expire_days = expire_days
        self._clock = clock

    def of_answer(self, job: Job, answer: "Answer", *, shared: bool) -> Record:
        """Return the record of what the endpoint answered; `shared` where it answered another upload."""
        today = dt.datetime.fromtimestamp(self._clock(), dt.UTC).date()
        findings = check(answer.reading.receipt, today=today, left_out=answer.reading.left_out)
        status: Status = decide(answer.reading, findings, threshold=self._review_threshold)
        return self._base(job, status).model_copy(
            update={
                "media_type": answer.media_type,
                "pages": answer.pages,
                "receipt": answer.reading.receipt,
                "confidence": confidence(answer.reading, findings),
                "field_confidence": answer.reading.confidence,
                "checks": tuple(map(CheckResult.of, findings)),
                "model": answer.model,
                "answered_at": answer.answered_at,
                "answered_from": answer.document if shared and answer.document != job.upload.document else None,
                "receipt_object": answer.receipt_object,
            }
        )

    def of_failure(self, job: Job, status: Status, reason: str, detail: str) -> Record:
        """Return the record of an upload that came to nothing."""
        return self._base(job, status).model_copy(update={"reason": reason, "detail": detail or None})

    def _base(self, job: Job, status: Status) -> Record:
        version = Version.of(job.upload)
        now = self._clock()
        return Record(
            document=job.upload.document,
            status=status,
            version_id=version.version_id,
            etag=version.etag,
            sequencer=version.sequencer,
            uploaded_at=version.uploaded_at,
            stored_at=timestamp(dt.datetime.fromtimestamp(now, dt.UTC)),
            content_sha256=job.content_sha256,
            attempts=job.attempts,
            receives=job.lease.received.receives,
            timings_ms=job.timings,
            trace_id=job.trace_id,
            replay_id=job.upload.replay_id,
            expires_at=int(now) + self._expire_days * 86_400 if self._expire_days else None,
        )
