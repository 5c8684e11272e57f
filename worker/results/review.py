"""What people do with a record: correct its fields, and say that it is right.

Each is one conditional write: it holds only if the record is still the one that the person looked at. The model's own
words are never written over.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from worker.errors import ReceiptsError
from worker.receipts.corrections import corrected, flat
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record, to_item
from worker.results.attributes import to_attributes
from worker.results.query import Results

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


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

    async def correct(
        self, document: str, corrections: Mapping[str, Any], *, withdrawn: Sequence[str] = (), revision: int | None
    ) -> Record | None:
        """Add `corrections` to those of `document`, take back those `withdrawn`, and return the record, if any.

        A correction to what the model read anyway is no correction. Raises `Outdated` where the record is not at
        `revision` any more, and ValueError for a field that there is none of or a value that it cannot have.
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
        return await self._replace(record, corrections=changed)

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
        try:
            await self._dynamodb.put_item(
                TableName=self._table,
                Item=to_attributes(to_item(new)),
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
