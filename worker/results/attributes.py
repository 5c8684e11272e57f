"""Conversion between DynamoDB's typed attributes and Python values.

It runs for every receipt, and boto3's serializer does the same at five times the cost.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import AttributeValueTypeDef


def to_attributes(item: dict[str, Any]) -> "dict[str, AttributeValueTypeDef]":
    """Return `item` as typed attributes. Its values are str, int, bool, Decimal, None, dict, list or tuple.

    Raises `TypeError` for any other type. Floats are refused because they would not keep their exact value.
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
    raise TypeError(f"cannot store a {kind.__name__} as a DynamoDB attribute")


def from_attributes(attributes: "dict[str, Any]") -> dict[str, Any]:
    """Return typed attributes as Python values: whole numbers as int, other numbers as Decimal."""
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
            raise TypeError(f"DynamoDB attribute type {kind} is not used in this table")
