"""Conditional writes to one row of the results table, which are the basis of records and claims."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from worker.resilience.dependency import Dependency
from worker.results.attributes import from_attributes, to_attributes

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

CONDITION_FAILED = "ConditionalCheckFailedException"


class Rows:
    """The rows of the results table, read and written one at a time, with retries in place."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, dependency: Dependency) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._dependency = dependency

    async def get(self, document: str, *, work: str) -> dict[str, Any] | None:
        """Return the row of `document` by a consistent read, or None."""

        async def read() -> dict[str, Any] | None:
            reply = await self._dynamodb.get_item(
                TableName=self._table, Key=to_attributes({"document": document}), ConsistentRead=True
            )
            return from_attributes(reply["Item"]) if "Item" in reply else None

        return await self._dependency.call(read, work=work)

    async def put(
        self, item: dict[str, Any], *, work: str, before_write: Callable[[], None], **condition: Any
    ) -> dict[str, Any] | None:
        """Put `item` if `condition` holds: return None, or else the row that is there (empty if there is none).

        `before_write` is called before each attempt.
        """
        attributes = to_attributes(item)

        async def write() -> None:
            before_write()
            await self._dynamodb.put_item(
                TableName=self._table,
                Item=attributes,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **condition,
            )

        return await self._refusal(str(item["document"]), write, work=work)

    async def update(
        self, document: str, arguments: Callable[[], dict[str, Any]], *, work: str
    ) -> dict[str, Any] | None:
        """Update the row if its condition holds: return None, or else the row that is there (empty if there is none).

        `arguments` returns the arguments of UpdateItem for one attempt: an outage may lie between two attempts.
        """

        async def write() -> None:
            await self._dynamodb.update_item(
                TableName=self._table,
                Key=to_attributes({"document": document}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **arguments(),
            )

        return await self._refusal(document, write, work=work)

    async def _refusal(self, document: str, write: Callable[[], Any], *, work: str) -> dict[str, Any] | None:
        async def attempt() -> dict[str, Any] | None:
            try:
                await write()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != CONDITION_FAILED:
                    raise
                return from_attributes(dict(error.response).get("Item") or {})  # type: ignore[arg-type]  # the stubs lack Item
            return None

        row = await self._dependency.call(attempt, work=work)
        # Not every implementation returns the row with the failed condition.
        return (await self.get(document, work=work) or {}) if row == {} else row
