"""The record of one document in the results table, and the rules by which a new record replaces an old one.

`Record` is the form for programs. `to_item` and `from_item` convert it to DynamoDB, where the receipt's fields are
native attributes beside the record's own, so that people can query them directly.
"""

import datetime as dt
import json
import unicodedata
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from worker.receipts.checks import LEFT_OUT, Finding, check
from worker.receipts.corrections import corrected
from worker.receipts.document import Version
from worker.receipts.receipt import Confidence, Receipt

Status = Literal["extracted", "needs_review", "rejected", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
HISTORY_LENGTH = 5
MOST_HISTORY_BYTES = 100_000
"""Most bytes of the history. A DynamoDB item has at most 400 KB, and the receipt needs a share of it."""


class CheckResult(BaseModel):
    """One finding of the checks, for people to read."""

    model_config = ConfigDict(frozen=True)

    name: str
    message: str
    weight: float = 0

    @classmethod
    def of(cls, finding: Finding) -> "CheckResult":
        """Return `finding` in the form that a record stores."""
        return cls(name=finding.name, message=finding.message, weight=finding.weight)


class ModelIdentity(BaseModel):
    """The model that gave the answer, and the cost of the answer in its own units."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    variant: str | None = None
    protocol: str
    protocol_version: str
    model_version: str | None = None
    usage: dict[str, int] = Field(default_factory=dict)


class Record(BaseModel):
    """The row of one document in the table."""

    model_config = ConfigDict(frozen=True)

    document: str
    status: Status
    reason: str | None = None
    detail: str | None = None
    """A sentence for people that explains `reason`. It never has receipt content."""

    version_id: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    uploaded_at: str
    stored_at: str

    content_sha256: str | None = None
    media_type: str | None = None
    pages: int | None = None

    receipt: Receipt | None = None
    receipt_object: str | None = None
    """Object (`bucket/key`) with the whole receipt if it is too large for the table. `receipt` then lacks its items."""
    confidence: Confidence | None = None
    field_confidence: dict[str, Confidence] = Field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    model: ModelIdentity | None = None

    attempts: int = 0
    """Number of calls of the endpoint for this answer."""
    receives: int = 0
    timings_ms: dict[str, int] = Field(default_factory=dict)
    revision: int = 1
    history: tuple[dict[str, Any], ...] = ()
    """Earlier readings of the document, newest first."""
    trace_id: str | None = None
    replay_id: str | None = None
    """The replay that requested this answer."""
    answered_at: str | None = None
    """When the model gave this answer."""
    answered_from: str | None = None
    """The document whose answer was reused because it has the same content."""
    possible_duplicate_of: str | None = None
    corrections: dict[str, Any] = Field(default_factory=dict)
    """Corrections by people, by field path. `receipt` keeps the model's reading."""
    reviewed_at: str | None = None
    reviewed_by: str | None = None
    expires_at: int | None = None

    @property
    def version(self) -> Version:
        """The upload of the document that this record is about."""
        return Version(
            uploaded_at=self.uploaded_at, sequencer=self.sequencer, version_id=self.version_id, etag=self.etag
        )

    @property
    def corrected(self) -> Receipt | None:
        """The model's reading with the corrections applied."""
        try:
            return corrected(self.receipt, self.corrections)
        except ValueError:  # an invalid correction was written into the table by hand
            return self.receipt

    def checked(self, *, today: dt.date) -> "Record":
        """Return the record with its checks repeated on the corrected receipt. `today` is the date in UTC."""
        kept = tuple(
            one for one in self.checks if one.name == LEFT_OUT
        )  # it came from the reading, which is not stored
        found = check(self.corrected, today=today) if self.corrected else ()
        return self.model_copy(update={"checks": (*kept, *map(CheckResult.of, found))})

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON types, with money as decimal strings.

        The receipt fields at the top level are corrected; `receipt` is the model's reading.
        """
        current = self.corrected or Receipt()
        return {**self.model_dump(mode="json"), **current.model_dump(mode="json")}


def merchant_key(name: str | None) -> str | None:
    """Return the merchant's name as index key: lower case, without accents or punctuation, words one blank apart."""
    if not name:
        return None
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(char if char.isalnum() else " " for char in decomposed if not unicodedata.combining(char))
    return " ".join(kept.split())[:200] or None


UNFINISHED = "unfinished"
"""Reason of the failed record that is stored before the last attempt. It remains if that attempt kills the worker."""
_RANK = {"failed": 0, "rejected": 1, "needs_review": 2, "extracted": 2}


def succeed(old: Record, new: Record) -> Record | None:
    """Return the record to store in place of `old` when `new` arrives, or None to keep `old`.

    An older upload never replaces a newer one. For the same upload, a better outcome replaces a worse one, and a newer
    answer replaces an older one. Corrections belong to the upload and are kept.
    """
    if new.version.older_than(old.version):
        return None
    if new.version.same_as(old.version):
        if _rank(new) < _rank(old):
            return None
        if _rank(new) == _rank(old) and not _is_newer_answer(old, new):
            return None
        new = new.model_copy(
            update={
                "corrections": old.corrections,
                # An event has a more precise time and order than a listing.
                "sequencer": new.sequencer or old.sequencer,
                "uploaded_at": max(old.uploaded_at, new.uploaded_at),
            }
        )
        if new.corrections and new.receipt:
            new = new.checked(today=dt.date.fromisoformat(new.stored_at[:10]))
    return new.model_copy(update={"revision": old.revision + 1, "history": _history(old)})


def _rank(record: Record) -> int:
    return -1 if record.reason == UNFINISHED else _RANK[record.status]


def _is_newer_answer(old: Record, new: Record) -> bool:
    return new.answered_at is not None and (old.answered_at is None or new.answered_at > old.answered_at)


def _history(old: Record) -> tuple[dict[str, Any], ...]:
    """Return the history of the record that replaces `old`, with the reading in `old` first."""
    if old.receipt is None:
        return old.history
    entry = {
        "revision": old.revision,
        "stored_at": old.stored_at,
        "status": old.status,
        "content_sha256": old.content_sha256,
        "model": old.model.model_dump(mode="json") if old.model else None,
        "receipt": old.receipt.model_dump(mode="json"),
    }
    history = [{name: value for name, value in entry.items() if value is not None}, *old.history][:HISTORY_LENGTH]
    while history and len(json.dumps(history, default=str)) > MOST_HISTORY_BYTES:
        history.pop()
    return tuple(history)
