"""Uploads of local files: which can be sent, under which key, and as which media type."""

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
"""Media types of photos from phones, which some systems' tables lack."""


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """One upload as S3 confirmed it."""

    bucket: str
    key: str
    version: Version

    @property
    def document(self) -> str:
        """Key of the record of this upload."""
        return f"{self.bucket}/{self.key}"

    def answered_by(self, record: "Record") -> bool:
        """Return whether `record` is about this upload, or about a later one that replaced it."""
        ours, theirs = self.version, record.version
        if ours.own_id and theirs.own_id == ours.own_id:
            return True
        if not (ours.own_id and theirs.own_id) and theirs.etag == ours.etag:
            return True
        return theirs.uploaded_at[:19] > ours.uploaded_at[:19]


def problem(path: Path) -> str | None:
    """Return why `path` cannot be sent and what to do, or None if it can."""
    try:
        if path.is_dir():
            return f"{path} is a directory: name its files, such as {path}/*"
        if not path.exists():
            return f"{path} does not exist"
        if not path.is_file():
            return f"{path} is not a regular file"
        with path.open("rb"):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def keys(paths: Iterable[Path], *, prefix: str = "") -> dict[Path, str]:
    """Return a key for each file: `prefix` and the file's name, with a number if two files have the same name.

    A path given twice gets one key. In a name that is not valid UTF-8, U+FFFD replaces the invalid bytes.
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
    """Return the media type that the file extension of `path` implies."""
    return MORE_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


async def put(s3: "S3Client", path: Path, *, bucket: str, key: str) -> Uploaded:
    """Upload the file `path` to `bucket` as `key`. Raises `OSError` or botocore's errors on failure."""
    with await asyncio.to_thread(path.open, "rb") as file:
        answer = await s3.put_object(Bucket=bucket, Key=key, Body=file, ContentType=media_type(path))
    # S3's clock, because its events use the same one.
    taken_at = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return Uploaded(
        bucket=bucket,
        key=key,
        version=Version(
            uploaded_at=timestamp(taken_at), version_id=answer.get("VersionId"), etag=answer["ETag"].strip('"')
        ),
    )
