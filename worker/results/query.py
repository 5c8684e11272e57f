"""Reading the results table: one page of a selection, one record, or everything that a selection wants.

A page is bounded: it reads at most ten records for each one it may show, and says how many it read. Where an index
answers the whole selection that is no limit at all; where a filter throws most records away, the page may come back
short with a cursor to go on from. Pages are newest first.

`by_status` is spread over shards that share one time line, so they are read side by side and merged. A cursor then is
a time, and for each shard the document up to which that very time is done; nothing in it is secret or trusted.
"""

import asyncio
import base64
import binascii
import datetime as dt
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

from worker.aws.resources import STATUS_SHARDS
from worker.receipts.currency import with_decimals
from worker.receipts.receipt import Merchant, Money, Payment
from worker.receipts.record import CheckResult, ModelIdentity, Record, Status
from worker.results.attributes import from_attributes, to_attributes
from worker.results.rows import from_item
from worker.results.selection import BadQuery, Condition, Plan, Selection, plan

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

READS_AN_ITEM: Final = 10
"""Records that a page reads at most for each one it may show."""
PARTITIONS_A_PAGE: Final = 60
"""Partitions that a page looks into at most, one after the other: months of purchases, mostly empty ones far away."""
MAX_LIMIT: Final = 1_000
THOROUGH_READ: Final = 250
"""Records of one partition that a thorough page reads at a time."""
BATCH_GET: Final = 100
"""Most keys of one BatchGetItem (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)."""


class Row(BaseModel):
    """What a list shows of one record: what every index carries."""

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
        """Return the row for programs: JSON's types, money as decimal strings."""
        total = None if self.total is None else format(with_decimals(self.total, self.currency), "f")
        return self.model_dump(mode="json") | {"total": total}


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list."""

    rows: tuple[Row, ...]
    cursor: str | None
    """Where the next page begins; None where there is no more."""
    read: int
    """Records read for it: what DynamoDB bills and calls ScannedCount."""
    index: str
    """The index that answered."""


@dataclass(frozen=True)
class _Position:
    """A place in an index: everything up to and including `document` at `sort` is done."""

    sort: str
    document: str


@dataclass
class _Lane:
    """One partition being read, newest first."""

    partition: str
    after: _Position | None = None
    high: str | None = None
    buffer: deque[dict[str, Any]] = field(default_factory=deque)
    done: bool = False
    shown: _Position | None = None

    @property
    def waiting(self) -> bool:
        """Whether what comes next in this partition is not known."""
        return not self.buffer and not self.done


class Results:
    """The results table, for reading. Times are in UTC."""

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
        """Return the record of `document` ("bucket/key") as of now, or None."""
        answer = await self._dynamodb.get_item(
            TableName=self._table, Key=to_attributes({"document": document}), ConsistentRead=True
        )
        item = answer.get("Item")
        return from_item(from_attributes(item)) if item and "status_shard" in item else None

    async def get_many(self, documents: Iterable[str]) -> dict[str, Record]:
        """Return the records of `documents` that are there, by document, in batches of 100."""
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
        """Return up to `limit` rows of `selection`, newest first, beginning after `cursor`.

        Unless `thorough`, at most `READS_AN_ITEM` records are read for each of `limit` (and always one for each
        partition that must be looked into), and at most `PARTITIONS_A_PAGE` months are looked into; then the page may
        be short though its cursor says that there is more.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise BadQuery(f"a page has 1 to {MAX_LIMIT} records, not {limit}")
        reading = _Reading(
            self._dynamodb, self._table, plan(selection, today=self._clock().date()), limit, thorough=thorough
        )
        start = _decode(cursor, selection, reading.plan) if cursor else None
        items, after = await (reading.merged(start) if reading.plan.merged else reading.chained(start))
        return Page(
            rows=tuple(Row.model_validate(item) for item in items),
            cursor=None if after is None else _encode(after, selection),
            read=reading.read,
            index=reading.plan.index,
        )

    async def walk(
        self, selection: Selection, *, on_read: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[Row]:
        """Give every row of `selection`, one partition after another, in constant memory.

        `on_read` is told how many records each answer of DynamoDB took.
        """
        chosen = plan(selection, today=self._clock().date())
        for partition in chosen.partitions:
            lane = _Lane(partition, high=chosen.high)
            while not lane.done:
                on_read(await _fetch(self._dynamodb, self._table, chosen, lane, None))
                while lane.buffer:
                    yield Row.model_validate(lane.buffer.popleft())

    async def count(self) -> int:
        """Return DynamoDB's own count of the table's rows, which it brings up to date every six hours or so."""
        answer = await self._dynamodb.describe_table(TableName=self._table)
        return answer["Table"].get("ItemCount", 0)


_Cursor = tuple[str, dict[str, str]]
"""A sort value, and by partition the document up to which it is done; ("", {partition: ""}) is its beginning."""


class _Reading:
    """The making of one page."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, chosen: Plan, limit: int, *, thorough: bool) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self.plan = chosen
        self._limit = limit
        self._thorough = thorough
        self._budget = max(READS_AN_ITEM * limit, 2 * len(chosen.partitions) if chosen.merged else 0)
        self.read = 0

    async def chained(self, start: _Cursor | None) -> tuple[list[dict[str, Any]], _Cursor | None]:
        """Read one partition after another until the page is full."""
        left, after = self.plan.partitions, None
        if start is not None:
            ((partition, document),) = start[1].items()
            left = left[left.index(partition) :]
            after = _Position(start[0], document) if document else None
        items: list[dict[str, Any]] = []
        for looked_into, partition in enumerate(left):
            if looked_into == PARTITIONS_A_PAGE and not self._thorough:
                return items, ("", {partition: ""})
            lane = _Lane(partition, after=after, high=self.plan.high)
            after = None
            while lane.buffer or not lane.done:
                missing = self._limit - len(items)
                size = self._size(missing, lanes=1)
                if not missing or not size:
                    place = lane.shown or lane.after
                    return items, (place.sort, {partition: place.document}) if place else ("", {partition: ""})
                await self._fetch([lane], size)
                while lane.buffer and len(items) < self._limit:
                    item = lane.buffer.popleft()
                    items.append(item)
                    lane.shown = _Position(item[self.plan.sort_key], item["document"]) if lane.buffer else None
        return items, None

    async def merged(self, start: _Cursor | None) -> tuple[list[dict[str, Any]], _Cursor | None]:
        """Read all partitions side by side, always taking the newest."""
        lanes = [_Lane(partition, high=self.plan.high) for partition in self.plan.partitions]
        if start is not None:
            for lane in lanes:
                lane.high = start[0]
                if lane.partition in start[1]:
                    lane.after = lane.shown = _Position(start[0], start[1][lane.partition])
        items: list[dict[str, Any]] = []
        while len(items) < self._limit:
            waiting = sorted((lane for lane in lanes if lane.waiting), key=_reach, reverse=True)
            newest = max((lane for lane in lanes if lane.buffer), key=_reach, default=None)
            if newest is not None and not (waiting and _reach(waiting[0]) > _reach(newest)):
                item = newest.buffer.popleft()
                newest.shown = _Position(item["uploaded_at"], item["document"])
                items.append(item)
            elif not waiting:
                return items, None
            else:
                fresh = [lane for lane in waiting if lane.after is None]
                chosen = fresh or waiting[:STATUS_SHARDS]
                size = self._size(self._limit - len(items), lanes=len(chosen), fresh=bool(fresh))
                if not size:
                    break
                await self._fetch(chosen, size)
        return items, _frontier(lanes)

    def _size(self, missing: int, *, lanes: int, fresh: bool = False) -> int:
        """Return how many records to read from each of `lanes` partitions; 0 where the budget is used up.

        Where partitions are read side by side each gets little at a time: what one has been read beyond the newest
        place of the others is lost to the next page.
        """
        if self._thorough and not self.plan.whole:
            return THOROUGH_READ
        if not self.plan.merged:
            wanted = missing if self.plan.whole else max(missing, self._budget // 2)
        elif fresh:
            wanted = max(1, missing // lanes)
        elif self.plan.whole:
            wanted = max(1, missing // STATUS_SHARDS)
        else:
            wanted = max(1, self._budget // (4 * STATUS_SHARDS))
        return wanted if self._thorough else min(wanted, max(0, self._budget - self.read) // lanes)

    async def _fetch(self, lanes: Sequence[_Lane], size: int) -> None:
        reads = await asyncio.gather(*(_fetch(self._dynamodb, self._table, self.plan, lane, size) for lane in lanes))
        self.read += sum(reads)


def _frontier(lanes: Sequence[_Lane]) -> _Cursor | None:
    """Return where the next page begins: the newest time at which some partition has more, and who did what of it."""
    open_lanes = [lane for lane in lanes if lane.buffer or not lane.done]
    if not open_lanes:
        return None
    time = max(_reach(lane) for lane in open_lanes)
    at = {}
    for lane in lanes:
        if lane.waiting and lane.after and lane.after.sort == time:
            at[lane.partition] = lane.after.document
        elif lane.shown and lane.shown.sort == time:
            at[lane.partition] = lane.shown.document
    return time, at


def _reach(lane: _Lane) -> str:
    """Return the time down to which a partition has been looked through: that of its next record, if it is known."""
    if lane.buffer:
        return str(lane.buffer[0]["uploaded_at"])
    return lane.after.sort if lane.after else lane.high or "9"


async def _fetch(dynamodb: "DynamoDBClient", table: str, chosen: Plan, lane: _Lane, size: int | None) -> int:
    """Read on in `lane`, up to `size` records, and return how many were read."""
    question = _question(chosen, lane)
    if size is not None:
        question["Limit"] = size
    answer = await dynamodb.query(TableName=table, **question)
    lane.buffer.extend(from_attributes(item) for item in answer["Items"])
    last = answer.get("LastEvaluatedKey")
    lane.done = last is None
    if last is not None:
        lane.after = _Position(str(last[chosen.sort_key]["S"]), str(last["document"]["S"]))
    return answer["ScannedCount"]


def _question(chosen: Plan, lane: _Lane) -> dict[str, Any]:
    names = {"#partition": chosen.partition_key}
    values: dict[str, Any] = {":partition": lane.partition}
    condition = "#partition = :partition"
    low, high = chosen.low, lane.high
    if low is not None or high is not None:
        names["#sort"] = chosen.sort_key
    if low is not None:
        values[":low"] = low
    if high is not None:
        values[":high"] = high
    if low is not None and high is not None:
        condition += " AND #sort BETWEEN :low AND :high"
    elif low is not None:
        condition += " AND #sort >= :low"
    elif high is not None:
        condition += " AND #sort <= :high"
    question: dict[str, Any] = {
        "IndexName": chosen.index,
        "ScanIndexForward": False,
        "KeyConditionExpression": condition,
    }
    if chosen.filters:
        question["FilterExpression"] = " AND ".join(_phrase(one, names, values) for one in chosen.filters)
    if lane.after is not None:
        question["ExclusiveStartKey"] = to_attributes(
            {
                chosen.partition_key: lane.partition,
                chosen.sort_key: lane.after.sort,
                "document": lane.after.document,
            }
        )
    return question | {"ExpressionAttributeNames": names, "ExpressionAttributeValues": to_attributes(values)}


def _phrase(condition: Condition, names: dict[str, str], values: dict[str, Any]) -> str:
    """Put `condition` in DynamoDB's words, entering its names and values into `names` and `values`."""
    path = []
    for part in condition.attribute.split("."):
        names[f"#{part}"] = part
        path.append(f"#{part}")
    if condition.value is None:
        return condition.template.format(".".join(path))
    if isinstance(condition.value, tuple):
        marks = [f":v{len(values) + number}" for number in range(len(condition.value))]
        values |= dict(zip(marks, condition.value, strict=True))
        return condition.template.format(".".join(path), f"({', '.join(marks)})")
    mark = f":v{len(values)}"
    values[mark] = condition.value
    return condition.template.format(".".join(path), mark)


def _encode(cursor: _Cursor, selection: Selection) -> str:
    text = json.dumps([selection.fingerprint, cursor[0], cursor[1]], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(cursor: str, selection: Selection, chosen: Plan) -> _Cursor:
    """Return what `cursor` says, or raise `BadQuery`: it comes from outside and may say anything."""
    try:
        fingerprint, time, at = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
        places = {str(partition): str(document) for partition, document in at.items()}
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise BadQuery("this cursor is damaged; begin again without one") from error
    if fingerprint != selection.fingerprint:
        raise BadQuery("this cursor belongs to a list with other filters; begin again without one")
    if not isinstance(time, str) or not _can_be(time, places, chosen):
        raise BadQuery("this cursor is damaged; begin again without one")
    return time, places


def _can_be(time: str, places: dict[str, str], chosen: Plan) -> bool:
    """Tell whether a cursor names places that `chosen` has."""
    if not places.keys() <= set(chosen.partitions):
        return False
    if not chosen.merged and len(places) != 1:
        return False
    if not chosen.merged and not time:
        return set(places.values()) == {""}
    return all(places.values()) and time >= "0" and (chosen.low or "") <= time <= (chosen.high or "undated")
