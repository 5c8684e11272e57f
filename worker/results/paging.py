"""Pages of a selection, newest first, and the cursors that lead from one page to the next.

A page reads a bounded number of records. If an index answers the whole selection, the bound has no effect. If a filter
discards most records, the page may be short, with a cursor for the rest.

`by_status` is spread over shards that share one time line, so its partitions are read in parallel and merged. Its
cursor holds a time and, per shard, the last document read at exactly that time. Cursors are neither secret nor trusted.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from worker.aws.resources import STATUS_SHARDS
from worker.results.partitions import Lane, Position, fetch
from worker.results.selection import BadQuery, Plan, Selection

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

READS_PER_ROW: Final = 10
"""Most records that a page reads per row that it may show."""
PARTITIONS_PER_PAGE: Final = 60
"""Most partitions that a page reads one after another: months of purchases, of which distant ones are mostly empty."""
THOROUGH_READ: Final = 250
"""Records of one partition that a thorough page reads per call."""

Cursor = tuple[str, dict[str, str]]
"""A sort value, and per partition the document up to which it is read. ("", {partition: ""}) is a partition's start."""


class PageReader:
    """A reader of one page of a selection, with a budget of records to read."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, chosen: Plan, limit: int, *, thorough: bool) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self.plan = chosen
        self._limit = limit
        self._thorough = thorough
        self._budget = max(READS_PER_ROW * limit, 2 * len(chosen.partitions) if chosen.merged else 0)
        self.read = 0
        """Records that DynamoDB has read for this page."""

    async def chained(self, start: Cursor | None) -> tuple[list[dict[str, Any]], Cursor | None]:
        """Read one partition after another until the page is full; return its items and the next cursor."""
        left, after = self.plan.partitions, None
        if start is not None:
            ((partition, document),) = start[1].items()
            left = left[left.index(partition) :]
            after = Position(start[0], document) if document else None
        items: list[dict[str, Any]] = []
        for looked_into, partition in enumerate(left):
            if looked_into == PARTITIONS_PER_PAGE and not self._thorough:
                return items, ("", {partition: ""})
            lane = Lane(partition, after=after, high=self.plan.high)
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
                    lane.shown = Position(item[self.plan.sort_key], item["document"]) if lane.buffer else None
        return items, None

    async def merged(self, start: Cursor | None) -> tuple[list[dict[str, Any]], Cursor | None]:
        """Read all partitions in parallel, newest record first; return the items and the next cursor."""
        lanes = [Lane(partition, high=self.plan.high) for partition in self.plan.partitions]
        if start is not None:
            for lane in lanes:
                lane.high = start[0]
                if lane.partition in start[1]:
                    lane.after = lane.shown = Position(start[0], start[1][lane.partition])
        items: list[dict[str, Any]] = []
        while len(items) < self._limit:
            waiting = sorted((lane for lane in lanes if lane.waiting), key=_reach, reverse=True)
            newest = max((lane for lane in lanes if lane.buffer), key=_reach, default=None)
            if newest is not None and not (waiting and _reach(waiting[0]) > _reach(newest)):
                item = newest.buffer.popleft()
                newest.shown = Position(item["uploaded_at"], item["document"])
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
        """Return how many records to read from each of `lanes` partitions, or 0 if the budget is used up.

        Partitions that are merged are read in small steps: records read but not shown must be read again for the
        next page.
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

    async def _fetch(self, lanes: Sequence[Lane], size: int) -> None:
        reads = await asyncio.gather(*(fetch(self._dynamodb, self._table, self.plan, lane, size) for lane in lanes))
        self.read += sum(reads)


def _frontier(lanes: Sequence[Lane]) -> Cursor | None:
    """Return the cursor of the next page, or None if nothing is left.

    Its time is the newest at which some partition has more. Its documents say how far each partition got at that time.
    """
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


def _reach(lane: Lane) -> str:
    """Return the time down to which `lane` has been read: that of its next record, if that is known."""
    if lane.buffer:
        return str(lane.buffer[0]["uploaded_at"])
    return lane.after.sort if lane.after else lane.high or "9"


def encode(cursor: Cursor, selection: Selection) -> str:
    """Return `cursor` as text, bound to `selection`."""
    text = json.dumps([selection.fingerprint, cursor[0], cursor[1]], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, selection: Selection, chosen: Plan) -> Cursor:
    """Return the parsed cursor. Raises `BadQuery` if it is not valid: it comes from outside and may hold anything."""
    try:
        fingerprint, time, at = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
        places = {str(partition): str(document) for partition, document in at.items()}
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise BadQuery("the cursor is not valid; start again without a cursor") from error
    if fingerprint != selection.fingerprint:
        raise BadQuery("the cursor belongs to a list with other filters; start again without a cursor")
    if not isinstance(time, str) or not _can_be(time, places, chosen):
        raise BadQuery("the cursor is not valid; start again without a cursor")
    return time, places


def _can_be(time: str, places: dict[str, str], chosen: Plan) -> bool:
    """Return whether a cursor names positions that `chosen` has."""
    if not places.keys() <= set(chosen.partitions):
        return False
    if not chosen.merged and len(places) != 1:
        return False
    if not chosen.merged and not time:
        return set(places.values()) == {""}
    return all(places.values()) and time >= "0" and (chosen.low or "") <= time <= (chosen.high or "undated")
