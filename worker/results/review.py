"""What people do with a record: correct its fields, and say that it is right.

Each is one conditional write: it holds only if the record is still the one that the person looked at. The model's own
words are never written over. What did not add up, and what may be a duplicate, is seen anew after each correction.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from worker.errors import ReceiptsError
from worker.receipts.corrections import corrected, flat
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record
from worker.results.attributes import to_attributes
from worker.results.duplicates import Duplicates
from worker.results.query import Results
from worker.results.rows import to_item

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


MOST_BYTES: Final = 400 * 1024
"""Of an item (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). As JSON it is never less."""


class Outdated(ReceiptsError):
    """The record has changed since the person looked at it: look again."""


class NotPossible(ReceiptsError):
    """This cannot be done to this record; the text says why."""


class Reviews:
    """Corrections and approvals in the results table."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, *, now: Callable[[], str]) -> None:
        """`now` gives the time as records have it."""
        self._dynamodb = dynamodb
        self._table = table
        self._now = now
        self._results = Results(dynamodb, table)
        self._duplicates = Duplicates(dynamodb, table)

    async def correct(
        self, document: str, corrections: Mapping[str, Any], *, withdrawn: Sequence[str] = (), revision: int | None
    ) -> Record | None:
        """Add `corrections` to those of `document`, take back those `withdrawn`, and return the record, if any.

        A correction to what the model read anyway is no correction. Raises `Outdated` where the record is not at
        `revision` any more, `NotPossible` where a row of the table cannot hold as much, and ValueError for a field that
        there is none of or a value that it cannot have.
        """
        record = await self._results.get(document)
        if record is None:
            return None
        _check(record, revision)
        kept = {path: value for path, value in record.corrections.items() if path not in withdrawn}
        holds = corrected(record.receipt, {**kept, **corrections}) or Receipt()
        said = dict(flat(record.receipt or Receipt()))
        values = dict(flat(holds))
        changed = {path: values[path] for path in {**kept, **corrections} if values[path] != said[path]}
        new = record.model_copy(update={"corrections": changed})
        new = new.checked(today=dt.date.fromisoformat(self._now()[:10]))
        duplicate = await self._duplicate(new)
        return await self._replace(record, corrections=changed, checks=new.checks, possible_duplicate_of=duplicate)

    async def _duplicate(self, record: Record) -> str | None:
        """Return what `record` may be a duplicate of, now that it is corrected; the same bytes stay the same."""
        found = await self._duplicates.lookup(record)
        if found is None and record.possible_duplicate_of:
            other = await self._results.get(record.possible_duplicate_of)
            if other and other.content_sha256 and other.content_sha256 == record.content_sha256:
                found = other.document
        return found

    async def approve(self, document: str, *, by: str | None, revision: int | None) -> Record | None:
        """Say that `document` is right as it stands, and return the record, if there is one.

        Raises `Outdated` as `correct` does, and `NotPossible` where there are no fields to be right.
        """
        record = await self._results.get(document)
        if record is None:
            return None
        _check(record, revision)
        if record.corrected is None:
            raise NotPossible("nothing was read from it and nothing was keyed in: correct its fields first")
        return await self._replace(record, status="extracted", reviewed_at=self._now(), reviewed_by=by)

    async def _replace(self, record: Record, **changes: Any) -> Record:
        """Write `record` with `changes` where it still stands."""
        new = record.model_copy(update={**changes, "revision": record.revision + 1})
        item = to_item(new)
        if len(json.dumps(item, ensure_ascii=False, default=str).encode()) > MOST_BYTES:
            raise NotPossible("this is more than one record can keep: shorten the items")
        try:
            await self._dynamodb.put_item(
                TableName=self._table,
                Item=to_attributes(item),
                ConditionExpression="revision = :revision AND stored_at = :stored_at",
                ExpressionAttributeValues=to_attributes({":revision": record.revision, ":stored_at": record.stored_at}),
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                raise Outdated("the record has changed meanwhile; look at it again") from error
            raise
        return new


def _check(record: Record, revision: int | None) -> None:
    if revision is not None and revision != record.revision:
        raise Outdated(f"the record is at revision {record.revision}, not {revision}; look at it again")
