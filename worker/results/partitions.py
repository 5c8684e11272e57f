"""Reading one partition of an index with DynamoDB's Query, page by page."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.results.attributes import from_attributes, to_attributes
from worker.results.selection import Condition, Plan

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Position:
    """A position in an index: everything up to and including `document` at sort key `sort` has been read."""

    sort: str
    document: str


@dataclass
class Lane:
    """The state of reading one partition, newest first."""

    partition: str
    after: Position | None = None
    """Position up to which DynamoDB has answered."""
    high: str | None = None
    """Largest sort key to read."""
    buffer: deque[dict[str, Any]] = field(default_factory=deque)
    done: bool = False
    shown: Position | None = None
    """Position of the last record that the page shows."""

    @property
    def waiting(self) -> bool:
        """Whether the next record of this partition must be fetched first."""
        return not self.buffer and not self.done


async def fetch(dynamodb: "DynamoDBClient", table: str, chosen: Plan, lane: Lane, size: int | None) -> int:
    """Read up to `size` further records of `lane` into its buffer, and return how many DynamoDB read."""
    question = _question(chosen, lane)
    if size is not None:
        question["Limit"] = size
    answer = await dynamodb.query(TableName=table, **question)
    lane.buffer.extend(from_attributes(item) for item in answer["Items"])
    last = answer.get("LastEvaluatedKey")
    lane.done = last is None
    if last is not None:
        lane.after = Position(str(last[chosen.sort_key]["S"]), str(last["document"]["S"]))
    return answer["ScannedCount"]


def _question(chosen: Plan, lane: Lane) -> dict[str, Any]:
    """Return the arguments of the Query that continues `lane`."""
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
    """Return `condition` as a DynamoDB expression, and add its names and values to `names` and `values`."""
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
