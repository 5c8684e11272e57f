"""Reading the results table: one record, one page of a selection, or every row of a selection."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

from worker.receipts.currency import with_decimals
from worker.receipts.receipt import Merchant, Money, Payment
from worker.receipts.record import CheckResult, ModelIdentity, Record, Status
from worker.results.attributes import from_attributes, to_attributes
from worker.results.paging import PageReader, decode, encode
from worker.results.partitions import Lane, fetch
from worker.results.rows import from_item
from worker.results.selection import BadQuery, Selection, plan

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

MAX_LIMIT: Final = 1_000
"""Most rows of one page."""
BATCH_GET: Final = 100
"""Most keys of one BatchGetItem (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)."""


class Row(BaseModel):
    """The part of a record that lists show: the attributes that every index projects."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    document: str
    status: Status
    reason: str | None = None
    merchant: Merchant = Merchant()
    purchase_date: dt.date | None = None
    total: Money | None = None
    currency: str | None = None
    confidence: float | None = None
    checks: tuple[CheckResult, ...] = ()
    model: ModelIdentity | None = None
    media_type: str | None = None
    pages: int | None = None
    content_sha256: str | None = None
    receipt_number: str | None = None
    payment: Payment = Payment()
    uploaded_at: str
    stored_at: str
    possible_duplicate_of: str | None = None
    reviewed_at: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON types, with money as decimal strings."""
        total = None if self.total is None else format(with_decimals(self.total, self.currency), "f")
        return self.model_dump(mode="json") | {"total": total}


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list."""

    rows: tuple[Row, ...]
    cursor: str | None
    """Start of the next page, or None after the last page."""
    read: int
    """Records read for this page, which DynamoDB bills (ScannedCount)."""
    index: str
    """The index that answered."""


class Results:
    """Read access to the results table. Times are in UTC."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        *,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock

    async def get(self, document: str) -> Record | None:
        """Return the current record of `document` ("bucket/key"), or None. The read is strongly consistent."""
        answer = await self._dynamodb.get_item(
            TableName=self._table, Key=to_attributes({"document": document}), ConsistentRead=True
        )
        item = answer.get("Item")
        return from_item(from_attributes(item)) if item and "status_shard" in item else None

    async def get_many(self, documents: Iterable[str]) -> dict[str, Record]:
        """Return the existing records of `documents`, by document. Reads batches of 100."""
        wanted = list(dict.fromkeys(documents))
        found: dict[str, Record] = {}
        while wanted:
            batch, wanted = wanted[:BATCH_GET], wanted[BATCH_GET:]
            answer = await self._dynamodb.batch_get_item(
                RequestItems={self._table: {"Keys": [to_attributes({"document": one}) for one in batch]}}
            )
            items = answer["Responses"].get(self._table, [])
            found |= {
                str(item["document"]["S"]): from_item(from_attributes(item)) for item in items if "status_shard" in item
            }
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._table)
            left = [str(key["document"]["S"]) for key in unprocessed["Keys"]] if unprocessed else []
            wanted = left + wanted
            if left and not items:
                await asyncio.sleep(0.2)
        return found

    async def page(
        self, selection: Selection, *, limit: int, cursor: str | None = None, thorough: bool = False
    ) -> Page:
        """Return up to `limit` rows of `selection`, newest first, starting after `cursor`.

        Unless `thorough`, the page reads at most `READS_PER_ROW` records per row, at least one per merged partition,
        and at most `PARTITIONS_PER_PAGE` months. Such a page may be short although its cursor leads to more.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise BadQuery(f"a page has 1 to {MAX_LIMIT} records, not {limit}")
        reader = PageReader(
            self._dynamodb, self._table, plan(selection, today=self._clock().date()), limit, thorough=thorough
        )
        start = decode(cursor, selection, reader.plan) if cursor else None
        items, after = await (reader.merged(start) if reader.plan.merged else reader.chained(start))
        return Page(
            rows=tuple(Row.model_validate(item) for item in items),
            cursor=None if after is None else encode(after, selection),
            read=reader.read,
            index=reader.plan.index,
        )

    async def walk(
        self, selection: Selection, *, on_read: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[Row]:
        """Yield every row of `selection`, one partition after another, in constant memory.

        Calls `on_read` with the number of records that DynamoDB read for each of its answers.
        """
        chosen = plan(selection, today=self._clock().date())
        for partition in chosen.partitions:
            lane = Lane(partition, high=chosen.high)
            while not lane.done:
                on_read(await fetch(self._dynamodb, self._table, chosen, lane, None))
                while lane.buffer:
                    yield Row.model_validate(lane.buffer.popleft())

    async def count(self) -> int:
        """Return DynamoDB's own count of the table's rows, which it updates about every six hours."""
        answer = await self._dynamodb.describe_table(TableName=self._table)
        return answer["Table"].get("ItemCount", 0)
