"""Conversion between a record and its DynamoDB row.

A row holds the record's own attributes. It also holds the receipt's fields as native attributes, so that people can
query them without decoding a document.
"""

import datetime as dt
import zlib
from decimal import Decimal
from typing import Any

from worker.aws.resources import STATUS_SHARDS
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record, merchant_key

UNDATED = "undated"
"""Sort key of receipts without a date. It sorts after every date, so that no date range includes it."""


def to_item(record: Record) -> dict[str, Any]:
    """Return `record` as DynamoDB's native values (str, int, Decimal, list, dict), without missing values.

    The fields that people and indexes query are those after corrections.
    """
    plain = _native(record.model_dump(mode="python", exclude={"receipt"}, exclude_none=True))
    item = {name: value for name, value in plain.items() if value is not None and value not in ({}, [])}
    item["status_shard"] = status_shard(record.status, record.document)
    if record.receipt is not None:
        item["receipt"] = record.receipt.model_dump(mode="json")
    if (holds := record.corrected) is not None:
        fields = _native(holds.model_dump(mode="python", exclude_none=True))
        item |= {name: value for name, value in fields.items() if _says_something(value)}
        item |= _index_keys(holds)
    return item


def status_shard(status: str, document: str) -> str:
    """Return the partition key of `document` in the index `by_status`."""
    return f"{status}#{zlib.crc32(document.encode()) % STATUS_SHARDS}"


def from_item(item: dict[str, Any]) -> Record:
    """Return the record stored in `item`."""
    return Record.model_validate({name: item[name] for name in Record.model_fields if name in item})


def _index_keys(receipt: Receipt) -> dict[str, str]:
    day = receipt.purchase_date.isoformat() if receipt.purchase_date else UNDATED
    keys = {"purchase_month": day[:7] if receipt.purchase_date else UNDATED, "purchase_day": day}
    merchant = merchant_key(receipt.merchant.name)
    return keys | ({"merchant_key": merchant} if merchant else {})


def _says_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_says_something(part) for part in value.values())
    return value is not None and value != []


def _native(value: Any) -> Any:
    """Return `value` in the types that `to_attributes` accepts."""
    kind = type(value)
    if kind is str or kind is Decimal or kind is int or value is None:
        return value
    if kind is dict:
        return {key: _native(part) for key, part in value.items() if part is not None}
    if kind is list or kind is tuple:
        return [_native(part) for part in value]
    if kind is float:
        return Decimal(str(round(value, 4)))
    return value.isoformat() if isinstance(value, dt.date) else value
