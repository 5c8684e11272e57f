"""What is new in the results table: found by reading it, so that it does not matter who uploaded what."""

from typing import TYPE_CHECKING, Any

from worker.receipts.record import Record
from worker.results.polling import records

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


class Feed:
    """Remembers which records it has seen; reading a whole table is for a table on this machine."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._seen: dict[str, str] = {}

    def mark(self, record: Record) -> None:
        """Take `record` as seen."""
        self._seen[record.document] = record.stored_at

    async def news(self) -> list[Record]:
        """Return the records stored since the last call that were not marked, the oldest first."""
        stored = await self._stored()
        changed = [document for document, stored_at in stored.items() if self._seen.get(document) != stored_at]
        fresh = await records(self._dynamodb, self._table, changed)
        for record in fresh.values():
            self.mark(record)
        return sorted(fresh.values(), key=lambda record: record.stored_at)

    async def _stored(self) -> dict[str, str]:
        """Return when each document's record was stored."""
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
