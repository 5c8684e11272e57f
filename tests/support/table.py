"""A model of the DynamoDB features that the worker uses: conditional puts and updates, consistent reads."""

import copy
import functools
import re
from types import CodeType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from worker.results.attributes import from_attributes, to_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = re.compile(r"attribute_not_exists\(([#\w]+)\)|[#:]?\w+|<>|<=|>=|[<>=()]")


class _Absent:
    """A missing attribute: every comparison with it is false."""

    def __eq__(self, other: object) -> bool:
        return False

    __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __eq__
    __hash__ = None  # type: ignore[assignment]  # never stored in a set


@functools.lru_cache(maxsize=64)
def _compiled(expression: str) -> CodeType:
    """Translate a condition into Python: `at(name)` is an attribute or value, `absent(name)` tells if it is missing."""
    words = []
    for match in _WORD.finditer(expression):
        word = match.group()
        if match.group(1):
            words.append(f"absent({match.group(1)!r})")
        elif word in {"AND", "OR", "NOT"}:
            words.append(word.lower())
        elif word[0] in "<>=()":
            words.append({"=": "==", "<>": "!="}.get(word, word))
        else:
            words.append(f"at({word!r})")
    return compile(" ".join(words), expression, "eval")


class TableModel:
    """One table with the partition key `document`."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.on_put: Callable[[dict[str, Any] | None, dict[str, Any]], None] = lambda _old, _new: None

    def _check(self, key: str, request: dict[str, Any]) -> None:
        row = self.rows.get(key, {})
        names = request.get("ExpressionAttributeNames", {})
        values = from_attributes(request.get("ExpressionAttributeValues", {}))

        def at(name: str) -> Any:
            return values[name] if name.startswith(":") else row.get(names.get(name, name), _Absent())

        def absent(name: str) -> bool:
            return names.get(name, name) not in row

        condition = request.get("ConditionExpression")
        if condition and not eval(_compiled(condition), {"at": at, "absent": absent}):
            error: Any = {"Error": {"Code": "ConditionalCheckFailedException", "Message": "the condition failed"}}
            if row and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                error["Item"] = to_attributes(row)
            raise ClientError(error, "Write")

    def put(self, request: dict[str, Any]) -> dict[str, Any]:
        """Apply a PutItem request."""
        item = from_attributes(request["Item"])
        self._check(item["document"], request)
        self.on_put(self.rows.get(item["document"]), item)
        self.rows[item["document"]] = item
        return {}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Apply an UpdateItem request with SET and REMOVE."""
        key = from_attributes(request["Key"])["document"]
        self._check(key, request)
        names = request.get("ExpressionAttributeNames", {})
        values = from_attributes(request.get("ExpressionAttributeValues", {}))
        row = self.rows.setdefault(key, {"document": key})
        sets, _, removes = request["UpdateExpression"].partition("REMOVE ")
        for assignment in filter(None, sets.removeprefix("SET ").strip().split(", ")):
            name, value = assignment.split(" = ")
            row[names.get(name, name)] = values[value]
        for name in filter(None, removes.strip().split(", ")):
            row.pop(names.get(name, name), None)
        return {}

    def get(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a GetItem request."""
        row = self.rows.get(from_attributes(request["Key"])["document"])
        return {"Item": to_attributes(copy.deepcopy(row))} if row else {}
