"""DynamoDB's typed attributes to Python's values and back.

Boto3's serializer does the same at five times the cost, and this is on the way of every receipt.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import AttributeValueTypeDef


def to_attributes(item: dict[str, Any]) -> "dict[str, AttributeValueTypeDef]":
    """Return `item` (str, int, bool, Decimal, None, dict, list) as DynamoDB's client takes it.

    Raises `TypeError` for any other type: a float, above all, would be stored as something that it is not.
    """
    return {name: _typed(value) for name, value in item.items()}


def _typed(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is Decimal:
        return {"N": format(value, "f")}
    if value is None:
        return {"NULL": True}
    if kind is dict:
        return {"M": {key: _typed(part) for key, part in value.items()}}
    if kind is list or kind is tuple:
        return {"L": [_typed(part) for part in value]}
    if kind is bool:
        return {"BOOL": value}
    if kind is int:
        return {"N": str(value)}
    raise TypeError(f"DynamoDB has no attribute for a {kind.__name__}")


def from_attributes(attributes: "dict[str, Any]") -> dict[str, Any]:
    """Return what DynamoDB's client gave as Python's values: whole numbers as int, others as Decimal."""
    return {name: _plain(value) for name, value in attributes.items()}


def _plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return int(content) if content.lstrip("-").isdigit() else Decimal(content)
        case "M":
            return {key: _plain(part) for key, part in content.items()}
        case "L":
            return [_plain(part) for part in content]
        case "NULL":
            return None
        case _:
            raise TypeError(f"nothing in this table is of DynamoDB's type {kind}")
