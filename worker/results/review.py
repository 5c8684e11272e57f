"""Review by people: correct a record's fields, and approve it.

Each is one conditional write. It fails if the record has changed since the person looked at it. The model's own
values are never overwritten. Checks and possible duplicates are computed again after each correction.
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
"""DynamoDB's limit of an item (docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).

The item's JSON, which is measured, is never smaller."""


class Outdated(ReceiptsError):
    """The record has changed since the person looked at it. Reload it and try again."""


class NotPossible(ReceiptsError):
    """The change cannot be made to this record. The text says why."""


class Reviews:
    """Corrections and approvals in the results table."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, *, now: Callable[[], str]) -> None:
        """`now` gives the current time in the format of records."""
        self._dynamodb = dynamodb
        self._table = table
        self._now = now
        self._results = Results(dynamodb, table)
        self._duplicates = Duplicates(dynamodb, table)

    async def correct(
        self, document: str, corrections: Mapping[str, Any], *, withdrawn: Sequence[str] = (), revision: int | None
    ) -> Record | None:
        """Add `corrections` to `document`, remove those in `withdrawn`, and return the record, or None if none exists.

        A correction that equals the model's value is dropped. Raises `Outdated` if the record has another revision,
        `NotPossible` if the result is too large for a row, and `ValueError` for an unknown field or a value that the
        field cannot have.
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
        """Return the document that the corrected `record` may be a duplicate of. A match by equal bytes stays valid."""
        found = await self._duplicates.lookup(record)
        if found is None and record.possible_duplicate_of:
            other = await self._results.get(record.possible_duplicate_of)
            if other and other.content_sha256 and other.content_sha256 == record.content_sha256:
                found = other.document
        return found

    async def approve(self, document: str, *, by: str | None, revision: int | None) -> Record | None:
        """Approve `document` and return its record, or None if none exists.

        Raises `Outdated` like `correct`, and `NotPossible` if the record has no fields to approve.
        """
        record = await self._results.get(document)
        if record is None:
            return None
        _check(record, revision)
        if record.corrected is None:
            raise NotPossible("the record has no fields to approve; correct its fields first")
        return await self._replace(record, status="extracted", reviewed_at=self._now(), reviewed_by=by)

    async def _replace(self, record: Record, **changes: Any) -> Record:
        """Store `record` with `changes`. Raises `Outdated` if it has changed in the table."""
        new = record.model_copy(update={**changes, "revision": record.revision + 1})
        item = to_item(new)
        if len(json.dumps(item, ensure_ascii=False, default=str).encode()) > MOST_BYTES:
            raise NotPossible("the record would be larger than the 400 KB of a DynamoDB item; shorten the items")
        try:
            await self._dynamodb.put_item(
                TableName=self._table,
                Item=to_attributes(item),
                ConditionExpression="revision = :revision AND stored_at = :stored_at",
                ExpressionAttributeValues=to_attributes({":revision": record.revision, ":stored_at": record.stored_at}),
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                raise Outdated("the record has changed meanwhile; reload it") from error
            raise
        return new


def _check(record: Record, revision: int | None) -> None:
    if revision is not None and revision != record.revision:
        raise Outdated(f"the record is at revision {record.revision}, not {revision}; reload it")
