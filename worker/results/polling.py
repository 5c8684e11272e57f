"""Waiting for the records of uploads that somebody has just made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from worker.aws.uploads import Uploaded
from worker.receipts.record import Record
from worker.results.attributes import from_attributes
from worker.results.rows import from_item

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

BATCH: Final = 100
"""Most keys of one BatchGetItem (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)."""
LOOK_S: Final = 0.3


async def records(dynamodb: "DynamoDBClient", table: str, documents: Iterable[str]) -> dict[str, Record]:
    """Return the records of `documents` that there are now, by document."""
    wanted = list(documents)
    found: dict[str, Record] = {}
    for start in range(0, len(wanted), BATCH):
        asked: Any = {table: {"Keys": [{"document": {"S": name}} for name in wanted[start : start + BATCH]]}}
        while asked:  # what did not fit into one answer of 16 MB is asked for again
            answer = await dynamodb.batch_get_item(RequestItems=asked)
            for attributes in answer["Responses"].get(table, []):
                item = from_attributes(attributes)
                if "status" in item:
                    found[item["document"]] = from_item(item)
            asked = answer.get("UnprocessedKeys")
    return found


async def wait_for(
    dynamodb: "DynamoDBClient",
    table: str,
    uploads: Iterable[Uploaded],
    *,
    look_s: float = LOOK_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[tuple[Uploaded, Record]]:
    """Yield each upload with its record as soon as it is there, looking every `look_s` seconds until all are."""
    open_uploads = list(uploads)
    while open_uploads:
        there = await records(dynamodb, table, {upload.document for upload in open_uploads})
        left = []
        for upload in open_uploads:
            record = there.get(upload.document)
            if record and upload.answered_by(record):
                yield upload, record
            else:
                left.append(upload)
        open_uploads = left
        if open_uploads:
            await sleep(look_s)
