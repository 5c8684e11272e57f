"""Replay: enqueue uploads again, each once per replay id.

Choosing and counting the uploads changes nothing. A run then stores them in the manifest and sends them in batches of
up to ten. It stores its progress after each batch that SQS accepts. An interrupted run finishes its batch.

A run that is killed between SQS's answer and the stored progress leaves one batch in doubt. The next run checks the
table for uploads of that batch that were processed, and sends the others again. The worker answers each content only
once per replay id, so a duplicate message causes no second call of the endpoint.
"""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from worker.aws.resources import OWN_PREFIX
from worker.errors import ReceiptsError
from worker.messages.parse import replay_body
from worker.messages.queue import Entry, Queue
from worker.receipts.document import Upload
from worker.receipts.record import Record
from worker.receipts.text import printable
from worker.replay.manifest import LEASE_S, MOST_AT_A_TIME, Manifest, ManifestEntry, ReplayBusy
from worker.resilience.sync import finish_within
from worker.results.query import BATCH_GET, Results
from worker.results.selection import BadQuery, Selection

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef
    from types_aiobotocore_sqs import SQSClient

SEND_TRIES: Final = 5
FINISH_S: Final = 60.0
"""Time limit for finishing a batch after the run is cancelled, seconds."""
MIN_RATE: Final = 0.2
MAX_RATE: Final = 10_000.0
_T = TypeVar("_T")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Candidate:
    """An upload that a replay may enqueue, and whether the table holds an answer for it."""

    upload: Upload
    answered: bool


@dataclass
class Estimate:
    """The expected size of a replay."""

    uploads: int = 0
    answered: int = 0
    """Uploads with an answer in the table. Without force, the worker does not call the endpoint for them."""

    def calls(self, *, force: bool) -> int:
        """Return the maximum number of endpoint calls. Equal contents need only one."""
        return self.uploads if force else self.uploads - self.answered

    def seconds(self, rate: float) -> float:
        """Return how many seconds enqueuing takes at `rate` messages per second."""
        return self.uploads / rate


def new_id(now: datetime) -> str:
    """Return a new replay id that starts with the time `now`."""
    return f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def checked_id(text: str) -> str:
    """Return `text` if it is a valid replay id. Raises `BadQuery` if not."""
    if not _ID.fullmatch(text):
        raise BadQuery(
            "the replay id is not valid: use 1 to 100 letters, digits, dots, dashes and underscores, and start with a "
            "letter or digit"
        )
    return text


def upload_of(record: Record) -> Upload:
    """Return the upload that `record` is about."""
    bucket, _, key = record.document.partition("/")
    return Upload(
        bucket=bucket,
        key=key,
        uploaded_at=datetime.fromisoformat(record.uploaded_at),
        version_id=record.version_id,
        etag=record.etag,
        sequencer=record.sequencer,
    )


async def from_table(
    results: Results, selection: Selection, *, older_than: str | None = None
) -> AsyncIterator[Candidate]:
    """Yield the uploads of the records of `selection`. With `older_than`, only those read by an older model version."""
    async for batch in batches(results.walk(selection), BATCH_GET):
        found = await results.get_many(row.document for row in batch)
        for record in found.values():
            if older_than is None or _made_before(record, older_than):
                yield Candidate(upload_of(record), record.receipt is not None)


async def from_keys(results: Results, s3: "S3Client", names: Sequence[Sequence[str]]) -> AsyncIterator[Candidate]:
    """Yield the upload that each of `names` means, without duplicates: from its record, or else from S3.

    A name is the list of documents ("bucket/key") that it may mean, most likely first.
    """
    found = await results.get_many(document for possible in names for document in possible)
    given = set()
    for possible in names:
        record = next((found[document] for document in possible if document in found), None)
        upload = upload_of(record) if record else await _look_up(s3, possible)
        if upload.document not in given:
            given.add(upload.document)
            yield Candidate(upload, answered=record is not None and record.receipt is not None)


async def _look_up(s3: "S3Client", possible: Sequence[str]) -> Upload:
    from botocore.exceptions import ClientError

    for document in possible:
        bucket, _, key = document.partition("/")
        try:
            head = await s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            # The first part of the name may not be a bucket, or another account may own that bucket.
            if status == 404 or (status in (400, 403) and len(possible) > 1):
                continue
            raise
        return _upload_of(bucket, key, head)
    raise BadQuery(f"neither a record nor an object exists for {printable(' or '.join(possible))}")


def _upload_of(bucket: str, key: str, head: "HeadObjectOutputTypeDef") -> Upload:
    return Upload(
        bucket=bucket,
        key=key,
        uploaded_at=head["LastModified"],
        version_id=head.get("VersionId"),
        etag=head["ETag"].strip('"'),
        size=head["ContentLength"],
    )


async def from_prefix(
    results: Results, s3: "S3Client", bucket: str, prefix: str, *, recorded: bool
) -> AsyncIterator[Candidate]:
    """Yield the objects under `prefix`. Unless `recorded`, leave out those whose current content has a record."""
    async for batch in batches(_listed(s3, bucket, prefix), BATCH_GET):
        found = await results.get_many(upload.document for upload in batch)
        for upload in batch:
            record = found.get(upload.document)
            same = record is not None and record.etag == upload.etag
            if recorded or not same:
                yield Candidate(upload, answered=same and record is not None and record.receipt is not None)


async def _listed(s3: "S3Client", bucket: str, prefix: str) -> AsyncIterator[Upload]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    async for page in pages:
        for entry in page.get("Contents", ()):
            key = entry["Key"]
            if not key.startswith(OWN_PREFIX) and not key.endswith("/"):
                yield Upload(
                    bucket=bucket,
                    key=key,
                    uploaded_at=entry["LastModified"],
                    etag=entry["ETag"].strip('"'),
                    size=entry["Size"],
                )


async def estimate(candidates: AsyncIterable[Candidate]) -> Estimate:
    """Return the number of `candidates`, and of those that are answered. Changes nothing."""
    counted = Estimate()
    async for candidate in candidates:
        counted.uploads += 1
        counted.answered += candidate.answered
    return counted


async def uploads_of(candidates: AsyncIterable[Candidate]) -> AsyncIterator[Upload]:
    """Yield the uploads of `candidates`."""
    async for candidate in candidates:
        yield candidate.upload


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The rate at which uploads are enqueued."""

    per_s: float
    """Messages per second."""

    def __post_init__(self) -> None:
        """Raise `BadQuery` if the rate is out of range."""
        if not MIN_RATE <= self.per_s <= MAX_RATE:
            raise BadQuery(
                f"the rate must be between {MIN_RATE:g} and {MAX_RATE:g} messages per second, not {self.per_s:g}"
            )

    @property
    def batch(self) -> int:
        """Messages per call: at most two seconds' worth, so that a slow replay keeps its lease."""
        return max(1, min(MOST_AT_A_TIME, int(self.per_s * 2)))

    def wait_s(self, sent: int, elapsed_s: float) -> float:
        """Return the seconds to wait before the next batch, after `sent` messages in `elapsed_s` seconds."""
        return max(0.0, sent / self.per_s - elapsed_s)


class Replayer:
    """A sender of the uploads in a manifest."""

    def __init__(
        self,
        *,
        sqs: "SQSClient",
        queue_url: str,
        results: Results,
        manifest: Manifest,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds since any fixed time."""
        self._queue = Queue(sqs, queue_url)
        self._results = results
        self._manifest = manifest
        self._sleep = sleep
        self._clock = clock

    async def run(
        self,
        replay_id: str,
        *,
        pace: Pace,
        stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[ManifestEntry], None] = lambda _: None,
        patience_s: float = 2 * LEASE_S,
    ) -> ManifestEntry:
        """Enqueue the remaining uploads of `replay_id`, or stop early if `stopping()`, and return the final entry.

        If another run is active, wait up to `patience_s` seconds for its end or for its lease to end, then raise
        `ReplayBusy`.
        """
        entry = await self._acquire(replay_id, patience_s)
        begun, before = self._clock(), entry.sent
        try:
            on_progress(entry)
            async for batch in batches(self._manifest.uploads(entry), pace.batch):
                await self._sleep(pace.wait_s(entry.sent - before, self._clock() - begun))
                if stopping():
                    break
                # A batch that is being sent is finished and stored even if this task is cancelled.
                entry = await finish_within(FINISH_S, self._send(entry, batch))
                on_progress(entry)
        finally:
            await finish_within(FINISH_S, self._manifest.release(entry))
        return entry

    async def _acquire(self, replay_id: str, patience_s: float) -> ManifestEntry:
        until = self._clock() + patience_s
        while True:
            try:
                return await self._manifest.acquire(replay_id)
            except ReplayBusy:
                if self._clock() >= until:
                    raise
                await self._sleep(1.0)

    async def _send(self, entry: ManifestEntry, batch: Sequence[Upload]) -> ManifestEntry:
        """Send `batch`, the next of `entry`, and store the progress. Raises `ReceiptsError` if SQS keeps refusing."""
        end = entry.sent + len(batch)
        beyond = tuple(place for place in entry.ahead if place >= end)
        done = {place - entry.sent for place in entry.ahead if place < end}
        if entry.sent < entry.doubt_until:
            done |= await self._worked_on(entry, batch)
        reason = ""
        for attempt in range(SEND_TRIES):
            left = [place for place in range(len(batch)) if place not in done]
            if not left:
                break
            if attempt:
                await self._sleep(0.2 * 2**attempt)
            faults = await self._queue.send([Entry(replay_body(batch[place])) for place in left])
            done |= {place for place, fault in zip(left, faults, strict=True) if fault is None}
            reason = ", ".join(sorted({fault.code for fault in faults if fault}))
        if len(done) == len(batch):
            return await self._manifest.advance(entry, sent=end, ahead=beyond)
        ahead = tuple(sorted(entry.sent + place for place in done)) + beyond
        await self._manifest.advance(entry, sent=entry.sent, ahead=ahead)
        raise ReceiptsError(
            f"SQS refused {len(batch) - len(done)} messages in {SEND_TRIES} attempts ({reason}); run the replay again"
        )

    async def _worked_on(self, entry: ManifestEntry, batch: Sequence[Upload]) -> set[int]:
        """Return the positions in `batch` whose record comes from this replay, so that they were enqueued before."""
        found = await self._results.get_many(upload.document for upload in batch)
        records = [found.get(upload.document) for upload in batch]
        return {at for at, record in enumerate(records) if record and record.replay_id == entry.replay_id}


async def batches(source: AsyncIterable[_T], size: int) -> AsyncIterator[list[_T]]:
    """Yield the items of `source` in lists of `size`. The last list may be shorter."""
    batch: list[_T] = []
    async for one in source:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _made_before(record: Record, version: str) -> bool:
    """Return whether the model that answered is older than `version`. A model without a version is."""
    if record.model is None:
        return False
    return version_key(record.model.model_version or "") < version_key(version)


def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key for `version`: "1.9.2" sorts before "1.10.0", and words before numbers ("1.0-rc", "1.0.1")."""
    parts: Iterable[str] = re.findall(r"\d+|[a-z]+", version.lower())
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts)
