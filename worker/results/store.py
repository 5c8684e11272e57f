"""What is written to the results table, each by a single conditional write.

Two kinds of rows: a document's record, and the answer to one content (`sha256:<hex>`). A content is claimed before its
bytes are sent to the endpoint and its answer is kept at once, so that however many documents, deliveries and workers
have the same bytes, one of them pays and all of them use what it got.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from worker.aws.resources import CONTENT_PREFIX
from worker.errors import Failed, LeaseLost
from worker.receipts.receipt import Reading
from worker.receipts.record import ModelIdentity, Record, succeed
from worker.resilience.dependency import Dependency
from worker.results.attributes import from_attributes, to_attributes
from worker.results.rows import from_item, to_item

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

MAX_RACES = 50
"""Lost races for one row after which something else must be wrong."""
CONDITION_FAILED = "ConditionalCheckFailedException"


class Answer(BaseModel):
    """What the endpoint answered for one content, and for which document it was asked."""

    model_config = ConfigDict(frozen=True)

    reading: Reading
    model: ModelIdentity
    attempts: int
    answered_at: str
    document: str
    media_type: str
    pages: int
    receipt_object: str | None = None
    """Where the whole receipt is when it is too large for a row: `bucket/key`."""

    @cached_property
    def text(self) -> str:
        """The answer as it is kept: JSON."""
        return self.model_dump_json()


@dataclass(frozen=True)
class Claimed:
    """The content is ours to send, until the lease ends at `until` (seconds since the epoch)."""

    until: float


@dataclass(frozen=True)
class Busy:
    """Somebody else has the content; his lease ends at `until` (seconds since the epoch)."""

    until: float


@dataclass(frozen=True)
class Answered:
    """The content has been answered."""

    answer: Answer


Claim = Claimed | Busy | Answered


class ResultsStore:
    """The writes to the results table."""

    def __init__(
        self, dynamodb: "DynamoDBClient", table: str, dependency: Dependency, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self._dynamodb = dynamodb
        self._table = table
        self._dependency = dependency
        self._clock = clock

    async def get(self, document: str) -> Record | None:
        """Return the record of `document` as it stands now, or None."""
        item = await self._get(document)
        return from_item(item) if item and "status" in item else None

    async def put(self, record: Record, *, before_write: Callable[[], None] = lambda: None) -> Record:
        """Store `record` unless what is there may not be replaced by it; return what is there in the end.

        Any order and number of puts of the same records ends in the same record: see `succeed`. `before_write` is
        called right before each try; what it raises ends the put.
        """
        old: Record | None = None
        new = record
        for _ in range(MAX_RACES):
            refused = await self._put_if(new, old, before_write)
            if refused is None:
                return new
            if not refused:  # deleted between two tries
                old, new = None, record
                continue
            old = from_item(refused)
            successor = succeed(old, record)
            if successor is None:
                return old
            new = successor
        raise Failed("contended", "the row changed under every one of many writes")

    async def _put_if(self, new: Record, old: Record | None, before_write: Callable[[], None]) -> dict[str, Any] | None:
        """Put `new` where `old` stands; return what stands there instead, or None when it was put."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(document)"}
        if old is not None:
            condition = {
                "ConditionExpression": "revision = :revision AND stored_at = :stored_at",
                "ExpressionAttributeValues": to_attributes({":revision": old.revision, ":stored_at": old.stored_at}),
            }
        item = to_attributes(to_item(new))

        async def write() -> dict[str, Any] | None:
            before_write()
            try:
                await self._dynamodb.put_item(
                    TableName=self._table,
                    Item=item,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **condition,
                )
            except ClientError as error:
                return self._refused(error)
            return None

        return await self._or_read(await self._dependency.call(write, work=new.document), new.document)

    async def claim(
        self, sha256: str, *, owner: str, lease_s: float, anew: str | None = None, take_over: bool = True
    ) -> Claim:
        """Claim the content for `owner` for `lease_s` seconds, or say what is with it; claiming again extends.

        A claim that has ended is taken from somebody else only with `take_over`.
        `anew` names a replay that wants a new answer whatever there is: the one that it got, or a later one.
        """
        unanswered = "attribute_not_exists(#answer)"
        if anew:
            unanswered = f"({unanswered} OR NOT contains(answered_replays, :anew))"
        ended = " OR lease_until < :now" if take_over else ""
        until = 0.0

        async def write() -> dict[str, Any] | None:
            nonlocal until
            now = self._clock()  # of this try: an outage may lie between the first and the last
            until = round(now + lease_s, 3)
            values = {":owner": owner, ":until": Decimal(str(until))}
            values |= {":now": Decimal(str(round(now, 3)))} if take_over else {}
            values |= {":anew": anew} if anew else {}
            try:
                await self._dynamodb.update_item(
                    TableName=self._table,
                    Key=to_attributes({"document": CONTENT_PREFIX + sha256}),
                    UpdateExpression="SET #owner = :owner, lease_until = :until",
                    ConditionExpression=f"{unanswered} AND (attribute_not_exists(#owner) OR #owner = :owner{ended})",
                    ExpressionAttributeNames={"#owner": "owner", "#answer": "answer"},
                    ExpressionAttributeValues=to_attributes(values),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return self._refused(error)
            return None

        row = await self._or_read(await self._dependency.call(write, work=owner), CONTENT_PREFIX + sha256)
        if row is None:
            return Claimed(until)
        if "answer" in row and (anew is None or anew in row.get("answered_replays", ())):
            return Answered(Answer.model_validate_json(row["answer"]))
        return Busy(until=float(row.get("lease_until", 0)))

    async def answer(self, sha256: str, answer: Answer, *, owner: str, anew: str | None = None) -> None:
        """Keep the answer to the content that `owner` has claimed; raise `LeaseLost` if he has it no more."""
        values: dict[str, Any] = {":owner": owner, ":answer": answer.text}
        kept = "#answer = :answer"
        if anew:
            values |= {":anew": [anew], ":none": []}
            kept += ", answered_replays = list_append(if_not_exists(answered_replays, :none), :anew)"

        async def write() -> dict[str, Any] | None:
            try:
                await self._dynamodb.update_item(
                    TableName=self._table,
                    Key=to_attributes({"document": CONTENT_PREFIX + sha256}),
                    UpdateExpression=f"SET {kept} REMOVE lease_until, #owner",
                    ConditionExpression="#owner = :owner",
                    ExpressionAttributeNames={"#owner": "owner", "#answer": "answer"},
                    ExpressionAttributeValues=to_attributes(values),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return self._refused(error)
            return None

        row = await self._or_read(await self._dependency.call(write, work=owner), CONTENT_PREFIX + sha256)
        # A write whose reply was lost finds its own answer when it is made again.
        if row is not None and row.get("answer") != values[":answer"]:
            raise LeaseLost("the content was claimed by somebody else meanwhile")

    async def release(self, sha256: str, *, owner: str) -> None:
        """Give up a claim, so that nobody has to wait for its end; one that is not ours any more is left alone."""

        async def write() -> None:
            try:
                await self._dynamodb.update_item(
                    TableName=self._table,
                    Key=to_attributes({"document": CONTENT_PREFIX + sha256}),
                    UpdateExpression="REMOVE lease_until, #owner",
                    ConditionExpression="#owner = :owner",
                    ExpressionAttributeNames={"#owner": "owner"},
                    ExpressionAttributeValues=to_attributes({":owner": owner}),
                )
            except ClientError as error:
                self._refused(error)

        await self._dependency.call(write, work=owner)

    def _refused(self, error: ClientError) -> dict[str, Any]:
        """Return the row that made the condition fail, empty where the reply does not have it; else raise."""
        if error.response.get("Error", {}).get("Code") != CONDITION_FAILED:
            raise error
        return from_attributes(dict(error.response).get("Item") or {})  # type: ignore[arg-type]  # the stubs lack Item

    async def _or_read(self, row: dict[str, Any] | None, document: str) -> dict[str, Any] | None:
        """Return `row`, read from the table where a failed condition did not show it."""
        return (await self._get(document) or {}) if row == {} else row

    async def _get(self, document: str) -> dict[str, Any] | None:
        async def read() -> dict[str, Any] | None:
            reply = await self._dynamodb.get_item(
                TableName=self._table, Key=to_attributes({"document": document}), ConsistentRead=True
            )
            return from_attributes(reply["Item"]) if "Item" in reply else None

        return await self._dependency.call(read, work=document)
