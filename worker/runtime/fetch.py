"""The fetch stage: the bytes of an upload and their hash, within the memory budget."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from worker.aws.hashed import Hashed
from worker.aws.origin import is_from_aws
from worker.errors import DependencyFault, Failed, Rejected
from worker.extraction.memory import ByteBudget
from worker.receipts.document import Upload
from worker.resilience.dependency import Dependency
from worker.runtime.job import Fetched

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

HASHED_AT_ONCE_BYTES = 1_048_576
"""An upload up to this size is hashed in the event loop, in less than a millisecond: waking a thread takes as long."""


@dataclass(frozen=True, kw_only=True)
class FetchPolicy:
    """The limits of one fetch."""

    upload_limit_bytes: int
    fetch_s: float
    """Time limit for the body of an upload, once S3 has started to send it, seconds."""


class Fetcher:
    """Fetches uploads from S3."""

    def __init__(
        self, s3: "S3Client", dependency: Dependency, policy: FetchPolicy, budget: ByteBudget, executor: Executor
    ) -> None:
        """`executor` hashes large uploads."""
        self._s3 = s3
        self._dependency = dependency
        self._policy = policy
        self._budget = budget
        self._executor = executor

    @asynccontextmanager
    async def fetch(self, upload: Upload) -> AsyncIterator[tuple[Fetched, bytes]]:
        """Fetch the upload and its bytes, which count against the budget until the block ends.

        Raises `Rejected` if S3 does not have the object or it is too large, and whatever `Dependency.call` raises.
        """
        limit = self._policy.upload_limit_bytes
        expected = min(upload.size if upload.size is not None else limit, limit)
        async with self._budget.hold(expected) as held:
            found, data = await self._dependency.call(lambda: self._get_object(upload, held.grow), work=upload.document)
            if len(data) <= HASHED_AT_ONCE_BYTES:
                data = Hashed(data)
                sha256 = data.sha256
            else:
                sha256 = await asyncio.get_running_loop().run_in_executor(self._executor, _sha256, data)
            yield Fetched(found, sha256), data

    async def _get_object(self, upload: Upload, grow: Callable[[int], Awaitable[None]]) -> tuple[Upload, bytes]:
        version: Any = {"VersionId": upload.version_id} if upload.version_id else {}
        reply: Any = await self._s3.get_object(Bucket=upload.bucket, Key=upload.key, **version)
        async with reply["Body"] as stream:
            headers = reply["ResponseMetadata"].get("HTTPHeaders")
            if headers and not is_from_aws(headers):  # a direct call has checked this itself, and has no headers here
                raise DependencyFault("s3", "foreign_answer", "a proxy answered instead of S3")
            if "ContentLength" not in reply:  # S3 always sends it; a proxy may not pass it on
                raise Failed("no_length", "the reply of S3 does not have the length of the object")
            size, limit = int(reply["ContentLength"]), self._policy.upload_limit_bytes
            if size > limit:
                raise Rejected("too_large", f"the object has {size} bytes; the limit is {limit}")
            await grow(size)
            async with asyncio.timeout(self._policy.fetch_s):  # the client's own limit restarts with each byte
                data = await stream.read()
        etag = str(reply.get("ETag", "")).strip('"') or None
        return replace(upload, etag=etag or upload.etag), data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
