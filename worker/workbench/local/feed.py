"""New records, found by reading the results table, so that uploads from any client are included."""

from typing import TYPE_CHECKING, Any

from worker.receipts.record import Record
from worker.results.polling import records

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


class Feed:
    """A reader of new records. It scans the whole table, which is acceptable only for a local one."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._seen: dict[str, str] = {}

    def mark(self, record: Record) -> None:
        """Mark `record` as seen."""
        self._seen[record.document] = record.stored_at

    async def news(self) -> list[Record]:
        """Return the unmarked records stored since the last call, oldest first."""
        stored = await self._stored()
        changed = [document for document, stored_at in stored.items() if self._seen.get(document) != stored_at]
        fresh = await records(self._dynamodb, self._table, changed)
        for record in fresh.values():
            self.mark(record)
        return sorted(fresh.values(), key=lambda record: record.stored_at)

    async def _stored(self) -> dict[str, str]:
        """Return the `stored_at` of each document."""
        found: dict[str, str] = {}
        start: dict[str, Any] = {}
        while True:
            page = await self._dynamodb.scan(
                TableName=self._table,
                ProjectionExpression="document, stored_at",
                FilterExpression="attribute_exists(stored_at) AND attribute_exists(#status)",
                ExpressionAttributeNames={"#status": "status"},
                **start,
            )
            for item in page["Items"]:
                found[item["document"]["S"]] = item["stored_at"]["S"]
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
