"""Replay: uploads are enqueued again, each once by one replay id.

First the uploads are chosen and counted; nothing is changed by that. Then they are frozen in the manifest and sent in
batches of up to ten, each batch written down when SQS has taken it. A run that is interrupted finishes its batch. One
that is killed between SQS's answer and the manifest leaves a batch of which nobody knows: the next run looks into the
table which of it were worked on and sends the others again. The worker answers one replay id once for each content, so
that even then nothing is paid for twice.
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
from worker.receipts.document import Upload
from worker.receipts.record import Record
from worker.receipts.text import printable
from worker.replay.manifest import LEASE_S, MOST_AT_A_TIME, Manifest, ManifestEntry, ReplayBusy
from worker.results.query import BATCH_GET, Results
from worker.results.selection import BadQuery, Selection

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef
    from types_aiobotocore_sqs import SQSClient

SEND_TRIES: Final = 5
MIN_RATE: Final = 0.2
MAX_RATE: Final = 10_000.0
_T = TypeVar("_T")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Candidate:
    """An upload that may be enqueued, and whether the table has an answer for it."""

    upload: Upload
    answered: bool


@dataclass
class Estimate:
    """What a replay would do."""

    uploads: int = 0
    answered: int = 0
    """Uploads whose answer is in the table: without force the endpoint is not called for them."""

    def calls(self, *, force: bool) -> int:
        """Return the calls of the endpoint at most; the same bytes are sent only once."""
        return self.uploads if force else self.uploads - self.answered

    def seconds(self, rate: float) -> float:
        """Return the time that enqueuing takes at `rate` messages a second."""
        return self.uploads / rate


def new_id(now: datetime) -> str:
    """Return an id that says when the replay began."""
    return f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def checked_id(text: str) -> str:
    """Return `text` if it can name a replay, else raise `BadQuery`."""
    if not _ID.fullmatch(text):
        raise BadQuery("a replay id has up to 100 letters, digits, dots, dashes and underscores")
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
    """Give the uploads of the records of `selection`, of `older_than` only where their model's version is older."""
    async for batch in batches(results.walk(selection), BATCH_GET):
        found = await results.get_many(row.document for row in batch)
        for record in found.values():
            if older_than is None or _made_before(record, older_than):
                yield Candidate(upload_of(record), record.receipt is not None)


async def from_keys(results: Results, s3: "S3Client", names: Sequence[Sequence[str]]) -> AsyncIterator[Candidate]:
    """Give the upload that each of `names` means, once: as its record has it, else as S3 does.

    A name is the documents ("bucket/key") that it may mean, the likelier first.
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
            # what is read as a bucket may be none, or another's
            if status == 404 or (status in (400, 403) and len(possible) > 1):
                continue
            raise
        return _upload_of(bucket, key, head)
    raise BadQuery(f"there is neither a record of {printable(' or '.join(possible))} nor such an object")


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
    """Give the objects under `prefix`, unless `recorded` only those whose content the table has no record of."""
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
    """Count `candidates`; nothing is changed."""
    counted = Estimate()
    async for candidate in candidates:
        counted.uploads += 1
        counted.answered += candidate.answered
    return counted


async def uploads_of(candidates: AsyncIterable[Candidate]) -> AsyncIterator[Upload]:
    """Give the uploads of `candidates`."""
    async for candidate in candidates:
        yield candidate.upload


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast uploads are enqueued."""

    per_s: float
    """Messages a second."""

    def __post_init__(self) -> None:
        """Refuse a rate that cannot be kept."""
        if not MIN_RATE <= self.per_s <= MAX_RATE:
            raise BadQuery(f"the rate must lie between {MIN_RATE:g} and {MAX_RATE:g} messages a second")

    @property
    def batch(self) -> int:
        """Messages of one call: not more than two seconds' worth, so that a slow replay shows signs of life."""
        return max(1, min(MOST_AT_A_TIME, int(self.per_s * 2)))

    def wait_s(self, sent: int, elapsed_s: float) -> float:
        """Return how long to wait before the next batch where `sent` went out in `elapsed_s` seconds."""
        return max(0.0, sent / self.per_s - elapsed_s)


class Replayer:
    """Sends what a manifest holds."""

    def __init__(
        self,
        *,
        sqs: "SQSClient",
        queue_url: str,
        results: Results,
        manifest: Manifest,
        encode: Callable[[Upload], str],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`encode` makes the message that asks for an upload; `clock` gives seconds from any start."""
        self._sqs = sqs
        self._queue_url = queue_url
        self._results = results
        self._manifest = manifest
        self._encode = encode
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
        """Enqueue what is left of `replay_id` and return how far it came: to the end, unless `stopping()`.

        Where another run holds it, wait `patience_s` seconds for its end or its lease's, then raise `ReplayBusy`.
        """
        entry = await self._acquire(replay_id, patience_s)
        begun, before = self._clock(), entry.sent
        try:
            on_progress(entry)
            async for batch in batches(self._manifest.uploads(entry), pace.batch):
                await self._sleep(pace.wait_s(entry.sent - before, self._clock() - begun))
                if stopping():
                    break
                # What has begun is finished and written down, also when this task is cancelled meanwhile.
                entry = await _finished(self._send(entry, batch))
                on_progress(entry)
        finally:
            await _finished(self._manifest.release(entry))
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
        """Send `batch`, the next of `entry`, and write it down; what SQS refuses again and again ends the run."""
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
            entries: Any = [{"Id": str(place), "MessageBody": self._encode(batch[place])} for place in left]
            answer = await self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            done |= {int(one["Id"]) for one in answer.get("Successful", [])}
            reason = ", ".join(sorted({str(one.get("Code")) for one in answer.get("Failed", [])}))
        if len(done) == len(batch):
            return await self._manifest.advance(entry, sent=end, ahead=beyond)
        ahead = tuple(sorted(entry.sent + place for place in done)) + beyond
        await self._manifest.advance(entry, sent=entry.sent, ahead=ahead)
        raise ReceiptsError(f"SQS refused {len(batch) - len(done)} messages again and again: {reason}; run it again")

    async def _worked_on(self, entry: ManifestEntry, batch: Sequence[Upload]) -> set[int]:
        """Return the places of `batch` whose record was made for this replay: those were enqueued before."""
        found = await self._results.get_many(upload.document for upload in batch)
        records = [found.get(upload.document) for upload in batch]
        return {at for at, record in enumerate(records) if record and record.replay_id == entry.replay_id}


async def _finished(work: Awaitable[_T]) -> _T:
    """Await `work` to its end even if this task is cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def batches(source: AsyncIterable[_T], size: int) -> AsyncIterator[list[_T]]:
    """Give what `source` gives in lists of `size`, the last one shorter."""
    batch: list[_T] = []
    async for one in source:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _made_before(record: Record, version: str) -> bool:
    """Tell whether the model that answered is older than `version`; one that says no version is."""
    if record.model is None:
        return False
    return version_key(record.model.model_version or "") < version_key(version)


def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Return `version` so that "1.10.0" comes after "1.9.2"; words come before numbers, as "1.0-rc" before "1.0.1"."""
    parts: Iterable[str] = re.findall(r"\d+|[a-z]+", version.lower())
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts)
