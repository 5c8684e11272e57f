"""Files on their way into the bucket: what can be sent, under which key, as which media type."""

import asyncio
import email.utils
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from worker.receipts.document import Version, timestamp

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

    from worker.receipts.record import Record

MORE_TYPES = {".heic": "image/heic", ".heif": "image/heif", ".avif": "image/avif", ".webp": "image/webp"}
"""What phones produce and not every system's table knows."""
KEY_LIMIT = 1_024
"""S3's longest key, bytes of UTF-8 (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """One upload as S3 confirmed it."""

    bucket: str
    key: str
    version: Version

    @property
    def document(self) -> str:
        """The key of its record."""
        return f"{self.bucket}/{self.key}"

    def answered_by(self, record: "Record") -> bool:
        """Tell whether `record` is about this upload, or about a later one that took its place."""
        ours, theirs = self.version, record.version
        if ours.own_id and theirs.own_id == ours.own_id:
            return True
        if not (ours.own_id and theirs.own_id) and theirs.etag == ours.etag:
            return True
        return theirs.uploaded_at[:19] > ours.uploaded_at[:19]


def problem(path: Path) -> str | None:
    """Return why `path` cannot be sent, with the cure, or None."""
    try:
        if path.is_dir():
            return f"{path} is a directory: name its files, such as {path}/*"
        if not path.exists():
            return f"{path} does not exist"
        if not path.is_file():
            return f"{path} is no regular file"
        with path.open("rb"):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def keys(paths: Iterable[Path], *, prefix: str = "") -> dict[Path, str]:
    """Return a key for each file: `prefix` and its name, with a number where two have the same.

    A path that is given twice stands once. Names that are not UTF-8 keep what can be shown of them.
    """
    found: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        if path in found:
            continue
        name = path.name.encode(errors="surrogateescape").decode(errors="replace")
        number = 1
        candidate = name
        while candidate in taken:
            number += 1
            candidate = f"{PurePosixPath(name).stem}-{number}{PurePosixPath(name).suffix}"
        taken.add(candidate)
        found[path] = prefix + candidate
    return found


def media_type(path: Path) -> str:
    """Return the media type that the name of `path` says."""
    return MORE_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


async def put(s3: "S3Client", path: Path, *, bucket: str, key: str) -> Uploaded:
    """Put the file `path` into `bucket` as `key`; raises OSError or botocore's errors where that cannot be done."""
    with await asyncio.to_thread(path.open, "rb") as file:
        answer = await s3.put_object(Bucket=bucket, Key=key, Body=file, ContentType=media_type(path))
    # S3's own clock, which is also the one of its events.
    taken_at = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return Uploaded(
        bucket=bucket,
        key=key,
        version=Version(
            uploaded_at=timestamp(taken_at), version_id=answer.get("VersionId"), etag=answer["ETag"].strip('"')
        ),
    )
