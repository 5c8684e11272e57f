"""Waiting for the records of uploads that have just been made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from worker.aws.uploads import Uploaded
from worker.receipts.record import Record
from worker.results.query import Results

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

LOOK_S: Final = 0.3
"""Pause between two reads of the table, seconds."""


async def records(dynamodb: "DynamoDBClient", table: str, documents: Iterable[str]) -> dict[str, Record]:
    """Return the records of `documents` that exist now, by document."""
    return await Results(dynamodb, table).get_many(documents)


async def wait_for(
    dynamodb: "DynamoDBClient",
    table: str,
    uploads: Iterable[Uploaded],
    *,
    look_s: float = LOOK_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[tuple[Uploaded, Record]]:
    """Yield each upload with its record as soon as the record exists; read the table every `look_s` seconds."""
    missing = list(uploads)
    while missing:
        found = await records(dynamodb, table, {upload.document for upload in missing})
        left = []
        for upload in missing:
            record = found.get(upload.document)
            if record and upload.answered_by(record):
                yield upload, record
            else:
                left.append(upload)
        missing = left
        if missing:
            await sleep(look_s)
