"""The sources of a replay: uploads from the results table, from names, or from a listing of the bucket.

Choosing and counting uploads changes nothing.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from worker.aws.resources import OWN_PREFIX
from worker.receipts.document import Upload
from worker.receipts.record import Record
from worker.receipts.text import printable
from worker.results.query import BATCH_GET, Results
from worker.results.selection import BadQuery, Selection

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef

_T = TypeVar("_T")


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
