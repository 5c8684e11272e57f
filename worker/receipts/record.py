"""The record: what the results table keeps of one document, and when a new one may replace it.

`Record` is what programs see; `to_item` and `from_item` are its form in DynamoDB, where the receipt's fields stand
beside the record's own as native attributes, so that people can query them without taking a document apart.
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
"""An item of DynamoDB has 400 KB at most, and the receipt itself needs room in it."""


class CheckResult(BaseModel):
    """One thing that did not add up, for a person to read."""

    model_config = ConfigDict(frozen=True)

    name: str
    message: str
    weight: float = 0

    @classmethod
    def of(cls, finding: Finding) -> "CheckResult":
        """Return `finding` as a record keeps it."""
        return cls(name=finding.name, message=finding.message, weight=finding.weight)


class ModelIdentity(BaseModel):
    """Which model gave the answer, and what that cost in its own units."""

    model_config = ConfigDict(frozen=True)

    endpoint: str
    variant: str | None = None
    protocol: str
    protocol_version: str
    model_version: str | None = None
    usage: dict[str, int] = Field(default_factory=dict)


class Record(BaseModel):
    """What the table keeps of one document."""

    model_config = ConfigDict(frozen=True)

    document: str
    status: Status
    reason: str | None = None
    detail: str | None = None
    """A sentence for a person on top of `reason`; never receipt content."""

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
    """Where the whole receipt is (`bucket/key`) when it is too large for the table; `receipt` then lacks its items."""
    confidence: Confidence | None = None
    field_confidence: dict[str, Confidence] = Field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    model: ModelIdentity | None = None

    attempts: int = 0
    """Calls of the endpoint for this answer."""
    receives: int = 0
    timings_ms: dict[str, int] = Field(default_factory=dict)
    revision: int = 1
    history: tuple[dict[str, Any], ...] = ()
    """What the record said under earlier models, newest first."""
    trace_id: str | None = None
    replay_id: str | None = None
    """The replay that this answer was made for."""
    answered_at: str | None = None
    """When the model gave this answer."""
    answered_from: str | None = None
    """The document whose answer was taken, where these bytes had been answered before."""
    possible_duplicate_of: str | None = None
    corrections: dict[str, Any] = Field(default_factory=dict)
    """What a person changed, by the field's path; the model's own words stay in `receipt`."""
    reviewed_at: str | None = None
    reviewed_by: str | None = None
    expires_at: int | None = None

    @property
    def version(self) -> Version:
        """Which upload of the document this record is about."""
        return Version(
            uploaded_at=self.uploaded_at, sequencer=self.sequencer, version_id=self.version_id, etag=self.etag
        )

    @property
    def corrected(self) -> Receipt | None:
        """The receipt as it holds: what the model read, with what a person corrected."""
        try:
            return corrected(self.receipt, self.corrections)
        except ValueError:  # somebody wrote into the table by hand what no receipt has
            return self.receipt

    def checked(self, *, today: dt.date) -> "Record":
        """Return the record with the checks of its receipt as it holds after corrections; `today` is UTC's."""
        kept = tuple(one for one in self.checks if one.name == LEFT_OUT)  # said by the reading, which is gone
        found = check(self.corrected, today=today) if self.corrected else ()
        return self.model_copy(update={"checks": (*kept, *map(CheckResult.of, found))})

    def as_json(self) -> dict[str, Any]:
        """Return the record for programs: JSON's types, money as decimal strings.

        The fields at the top are the receipt as it holds after corrections; `receipt` is what the model read.
        """
        holds = self.corrected or Receipt()
        return {**self.model_dump(mode="json"), **holds.model_dump(mode="json")}


def merchant_key(name: str | None) -> str | None:
    """Return the merchant's name as the index has it: no case, no accents, no punctuation, one blank between words."""
    if not name:
        return None
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(char if char.isalnum() else " " for char in decomposed if not unicodedata.combining(char))
    return " ".join(kept.split())[:200] or None


UNFINISHED = "unfinished"
"""Reason of a failed record that is stored before the last try, and stays where that try ends the worker."""
_RANK = {"failed": 0, "rejected": 1, "needs_review": 2, "extracted": 2}


def succeed(old: Record, new: Record) -> Record | None:
    """Decide what becomes of `old` when `new` arrives: the record to put in its place, or None to leave it.

    An older upload never replaces a newer one. For one upload a better outcome replaces a worse one, and a newer
    answer of the model an older one. A person's corrections belong to the upload and stay.
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
                # The event's own time and order are better than those of a listing.
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
    """Return the history of the record that replaces `old`: what `old` said goes first."""
    if old.receipt is None:
        return old.history
    said = {
        "revision": old.revision,
        "stored_at": old.stored_at,
        "status": old.status,
        "content_sha256": old.content_sha256,
        "model": old.model.model_dump(mode="json") if old.model else None,
        "receipt": old.receipt.model_dump(mode="json"),
    }
    history = [{name: value for name, value in said.items() if value is not None}, *old.history][:HISTORY_LENGTH]
    while history and len(json.dumps(history, default=str)) > MOST_HISTORY_BYTES:
        history.pop()
    return tuple(history)
