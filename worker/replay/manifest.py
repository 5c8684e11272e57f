"""The manifest of a replay: the fixed list of uploads that it enqueues, and its progress.

The manifest is complete before the first upload is sent. So an interrupted replay can continue on any machine, whatever
the records say by then. It lives in the results table, in rows without index keys: `replay:<id>` holds the progress and
the owner, `replay:<id>/<draft>/<page>` hold the uploads. If the table's TTL is on, DynamoDB deletes the rows after
`KEEP_DAYS`.
"""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from worker.errors import ReceiptsError
from worker.receipts.document import Upload
from worker.receipts.record import Record
from worker.results.attributes import from_attributes, to_attributes
from worker.results.query import BATCH_GET, Results

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

PREFIX: Final = "replay:"
PAGE_BYTES: Final = 200_000
"""Bytes of one page: half of DynamoDB's limit of an item."""
KEEP_DAYS: Final = 30
"""Days after which the rows expire."""
LEASE_S: Final = 15
"""Seconds without progress after which a run counts as interrupted, and another may take over."""
MOST_AT_A_TIME: Final = 10
"""Most uploads that are sent before the progress is stored."""


class ReplayBusy(ReceiptsError):
    """Another run of the same replay is active."""

    def __init__(self, replay_id: str, until: float) -> None:
        super().__init__(f"replay {replay_id} is already being run by another process")
        self.until = until
        """End of the other run's lease unless it extends it, in seconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """The head row of one manifest: the replay's settings, its progress and its owner."""

    replay_id: str
    force: bool
    total: int
    sent: int = 0
    """Number of uploads enqueued so far, in the order of the pages."""
    ahead: tuple[int, ...] = ()
    """Positions after `sent` that are enqueued too, because SQS refused the others of their batch."""
    pages: int = 0
    draft: str = ""
    description: str = ""
    owner: str | None = None
    lease_until: float = 0
    doubt_until: int = 0
    """Uploads between `sent` and this position may be enqueued already: the previous run was interrupted."""

    @property
    def done(self) -> bool:
        """Whether every upload is enqueued."""
        return self.sent >= self.total


class Manifest:
    """The manifests of replays in the results table."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, *, clock: Callable[[], float]) -> None:
        """`clock` gives seconds since the epoch."""
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock
        self._owner = uuid.uuid4().hex

    async def find(self, replay_id: str) -> ManifestEntry | None:
        """Return the entry of `replay_id`, or None if it does not exist."""
        answer = await self._dynamodb.get_item(
            TableName=self._table, Key=to_attributes({"document": _name(replay_id)}), ConsistentRead=True
        )
        return _entry(from_attributes(answer["Item"])) if "Item" in answer else None

    async def freeze(
        self, replay_id: str, uploads: AsyncIterator[Upload], *, force: bool, description: str
    ) -> ManifestEntry:
        """Store the uploads that `replay_id` enqueues and return its entry. An existing manifest wins.

        Nothing is sent before this returns, so that a run interrupted meanwhile can simply start again.
        """
        draft = uuid.uuid4().hex[:8]
        total, pages, page, size = 0, 0, list[str](), 0
        async for upload in uploads:
            line = _line(upload)
            if page and size + len(line.encode()) > PAGE_BYTES:
                pages += 1
                await self._write_page(replay_id, draft, pages, page)
                page, size = [], 0
            page.append(line)
            size += len(line.encode())
            total += 1
        if page:
            pages += 1
            await self._write_page(replay_id, draft, pages, page)
        entry = ManifestEntry(
            replay_id=replay_id, force=force, total=total, pages=pages, draft=draft, description=description
        )
        row = {
            "document": _name(replay_id),
            "force": force,
            "total": total,
            "sent": 0,
            "pages": pages,
            "draft": draft,
            "description": description,
            "expires_at": self._expires_at(),
        }
        if await self._write("put_item", Item=to_attributes(row), ConditionExpression="attribute_not_exists(document)"):
            return entry
        return await self.find(replay_id) or entry

    async def acquire(self, replay_id: str) -> ManifestEntry:
        """Become the owner of `replay_id` and return its entry. Raises `ReplayBusy` if another run is active."""
        now = self._clock()
        before = await self.find(replay_id)
        if before is None:
            raise ReceiptsError(f"replay {replay_id} does not exist")
        ours = await self._update(
            replay_id,
            "SET #owner = :owner, lease_until = :until",
            "attribute_exists(document) AND (attribute_not_exists(#owner) OR lease_until < :now) AND sent = :sent",
            {":until": _number(now + LEASE_S), ":now": _number(now), ":sent": before.sent},
        )
        if not ours:
            raise ReplayBusy(replay_id, before.lease_until if before.owner else now + 1)
        doubt_until = before.sent + MOST_AT_A_TIME if before.owner is not None else 0
        return replace(before, owner=self._owner, doubt_until=doubt_until)

    async def advance(self, entry: ManifestEntry, *, sent: int, ahead: tuple[int, ...] = ()) -> ManifestEntry:
        """Store that the first `sent` uploads and those at `ahead` are enqueued. Raises `ReplayBusy` if not owned."""
        until = self._clock() + LEASE_S
        ours = await self._update(
            entry.replay_id,
            "SET sent = :sent, ahead = :ahead, lease_until = :until",
            "#owner = :owner AND sent = :before",
            {":sent": sent, ":before": entry.sent, ":ahead": list(ahead), ":until": _number(until)},
        )
        if not ours:
            raise ReplayBusy(entry.replay_id, until)
        return replace(entry, sent=sent, ahead=ahead)

    async def release(self, entry: ManifestEntry) -> None:
        """Give up ownership, so that the next run need not wait for the lease to end."""
        await self._update(entry.replay_id, "REMOVE #owner, lease_until", "#owner = :owner", {})

    async def uploads(self, entry: ManifestEntry) -> AsyncIterator[Upload]:
        """Yield the uploads from position `entry.sent` on, in order."""
        place = 0
        for number in range(1, entry.pages + 1):
            answer = await self._dynamodb.get_item(
                TableName=self._table,
                Key=to_attributes({"document": _name(entry.replay_id, entry.draft, number)}),
                ConsistentRead=True,
            )
            if "Item" not in answer:
                raise ReceiptsError(f"page {number} of replay {entry.replay_id} is missing; start a new replay")
            lines = str(from_attributes(answer["Item"])["uploads"]).split("\n")
            for line in lines[max(0, entry.sent - place) :]:
                yield replace(_upload(line), replay_id=entry.replay_id, force=entry.force)
            place += len(lines)

    async def _write_page(self, replay_id: str, draft: str, number: int, lines: list[str]) -> None:
        row = {
            "document": _name(replay_id, draft, number),
            "uploads": "\n".join(lines),
            "expires_at": self._expires_at(),
        }
        await self._dynamodb.put_item(TableName=self._table, Item=to_attributes(row))

    async def _update(self, replay_id: str, change: str, condition: str, values: dict[str, Any]) -> bool:
        values = values | {":owner": self._owner}
        return await self._write(
            "update_item",
            Key=to_attributes({"document": _name(replay_id)}),
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=to_attributes(values),
        )

    async def _write(self, operation: str, **arguments: Any) -> bool:
        """Write a row and return whether its condition was met."""
        try:
            await getattr(self._dynamodb, operation)(TableName=self._table, **arguments)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _expires_at(self) -> int:
        return int(self._clock()) + KEEP_DAYS * 86_400


def _name(replay_id: str, *page: object) -> str:
    return PREFIX + "/".join([replay_id, *map(str, page)])


def _number(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))


def _entry(row: dict[str, Any]) -> ManifestEntry:
    return ManifestEntry(
        replay_id=str(row["document"]).removeprefix(PREFIX),
        force=bool(row["force"]),
        total=int(row["total"]),
        sent=int(row["sent"]),
        ahead=tuple(int(place) for place in row.get("ahead", ())),
        pages=int(row["pages"]),
        draft=str(row["draft"]),
        description=str(row["description"]),
        owner=row.get("owner"),
        lease_until=float(row.get("lease_until", 0)),
    )


def _line(upload: Upload) -> str:
    """Return `upload` as one line of JSON, which escapes line breaks in keys."""
    version = [upload.version_id, upload.etag, upload.sequencer, upload.size]
    return json.dumps([upload.bucket, upload.key, upload.uploaded_at.isoformat(), *version], ensure_ascii=False)


def _upload(line: str) -> Upload:
    bucket, key, uploaded_at, version_id, etag, sequencer, size = json.loads(line)
    return Upload(
        bucket=bucket,
        key=key,
        uploaded_at=dt.datetime.fromisoformat(uploaded_at),
        version_id=version_id,
        etag=etag,
        sequencer=sequencer,
        size=size,
    )


async def records_of(dynamodb: "DynamoDBClient", results: Results, table: str, replay_id: str) -> AsyncIterator[Record]:
    """Yield the records of the uploads that `replay_id` enqueues. Raises `ReceiptsError` if it does not exist."""
    manifest = Manifest(dynamodb, table, clock=lambda: 0.0)
    entry = await manifest.find(replay_id)
    if entry is None:
        raise ReceiptsError(f"replay {replay_id} does not exist")
    batch: list[str] = []
    async for upload in manifest.uploads(replace(entry, sent=0)):
        batch.append(upload.document)
        if len(batch) == BATCH_GET:
            for record in (await results.get_many(batch)).values():
                yield record
            batch.clear()
    for record in (await results.get_many(batch)).values():
        yield record
