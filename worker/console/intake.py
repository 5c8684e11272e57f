"""Uploads through the API, streamed into the bucket in parts, in constant memory."""

import asyncio
import datetime as dt
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol

from worker.console.problems import Problem
from worker.receipts.text import printable
from worker.resilience.sync import finish_within

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

PART_BYTES: Final = 5 * 1024 * 1024
"""S3's minimum size of a part, except the last (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""
AT_A_TIME: Final = 4
"""Most uploads at a time. Each holds one part in memory."""
ABORT_S: Final = 10.0
"""Time limit for removing the parts of an upload that was cancelled, seconds."""
NAME_BYTES: Final = 120
"""Most bytes of a file's name in a key."""


class Stream(Protocol):
    """The body of a request."""

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, or no bytes at the end."""


class Intake:
    """Stores uploads in one bucket."""

    def __init__(self, s3: "S3Client", bucket: str, *, limit_bytes: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._limit = limit_bytes
        self._gate = asyncio.Semaphore(AT_A_TIME)

    async def take(self, stream: Stream, *, name: str, media_type: str, now: dt.datetime) -> str:
        """Store the bytes of `stream` under a new key and return the document.

        Raises `Problem` if the body is empty or larger than the limit.
        """
        key = new_key(name, now=now)
        async with self._gate:
            parts = self._parts(stream)
            first = await anext(parts, b"")
            if not first:
                raise Problem(400, "The body is empty: send the file's bytes.")
            if len(first) < PART_BYTES:
                await self._s3.put_object(Bucket=self._bucket, Key=key, Body=first, ContentType=media_type)
            else:
                await self._multipart(key, first, parts, media_type)
        return f"{self._bucket}/{key}"

    async def _parts(self, stream: Stream) -> AsyncIterator[bytes]:
        """Yield the bytes of `stream` in parts of `PART_BYTES`, the last one shorter. Raises `Problem` if too large."""
        total = 0
        while True:
            part = bytearray()
            while len(part) < PART_BYTES and (chunk := await stream.read(PART_BYTES - len(part))):
                part += chunk
                total += len(chunk)
                if total > self._limit:
                    raise Problem(413, f"The file is larger than {self._limit} bytes.")
            if not part:
                return
            yield bytes(part)
            if len(part) < PART_BYTES:
                return

    async def _multipart(self, key: str, first: bytes, rest: AsyncIterator[bytes], media_type: str) -> None:
        where: Any = {"Bucket": self._bucket, "Key": key}
        upload = await self._s3.create_multipart_upload(**where, ContentType=media_type)
        where["UploadId"] = upload["UploadId"]
        try:
            done: Any = [await self._part(where, 1, first)]
            number = 1
            async for part in rest:
                number += 1
                done.append(await self._part(where, number, part))
            await self._s3.complete_multipart_upload(**where, MultipartUpload={"Parts": done})
        except BaseException:
            await finish_within(ABORT_S, self._s3.abort_multipart_upload(**where))
            raise

    async def _part(self, where: Any, number: int, body: bytes) -> dict[str, Any]:
        answer = await self._s3.upload_part(**where, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": answer["ETag"]}


def new_key(name: str, *, now: dt.datetime) -> str:
    """Return a unique key that ends with the file's name."""
    plain = PurePosixPath(printable(name).replace("\\", "/")).name
    kept = re.sub(r"\s+", " ", plain).strip(" .")
    while len(kept.encode()) > NAME_BYTES:
        kept = kept[1:]
    return f"uploads/{now:%Y-%m-%d}/{uuid.uuid4().hex[:12]}/{kept or 'receipt'}"
