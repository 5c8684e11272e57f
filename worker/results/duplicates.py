"""Possible duplicates: the same bytes under another key, or the same purchase in another picture.

Two pictures show the same purchase if merchant, day and total are equal, and the receipt number or the last four card
digits. One query of an index finds them. Indexes are eventually consistent, so two pictures that are stored at the same
moment may not find each other; a later write of either does.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from worker.receipts.receipt import Receipt
from worker.receipts.record import Record, merchant_key
from worker.results.attributes import from_attributes, to_attributes
from worker.results.query import Row

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

MOST_CANDIDATES: Final = 200
"""Records of one merchant and day that are compared with one receipt, at most."""


def find_duplicate(record: Record, candidates: Iterable[Row]) -> str | None:
    """Return the document that `record` may be a duplicate of, or None.

    If there are several, it is the one that was uploaded first. A document that is marked as a duplicate of this one
    does not count, so that only one of two is marked.
    """
    alike = [
        row
        for row in candidates
        if record.document not in (row.document, row.possible_duplicate_of)
        and row.status in ("extracted", "needs_review")
        and (_same_bytes(record, row) or _same_purchase(record.corrected, row))
    ]
    return min(alike, key=lambda row: (row.uploaded_at, row.document)).document if alike else None


def _same_bytes(record: Record, row: Row) -> bool:
    return record.content_sha256 is not None and record.content_sha256 == row.content_sha256


def _same_purchase(receipt: Receipt | None, row: Row) -> bool:
    if receipt is None or receipt.total is None or receipt.purchase_date is None:
        return False
    merchant = merchant_key(receipt.merchant.name)
    if merchant is None or merchant != merchant_key(row.merchant.name):
        return False
    if (receipt.purchase_date, receipt.total) != (row.purchase_date, row.total):
        return False
    if receipt.currency and row.currency and receipt.currency != row.currency:
        return False
    number, card = receipt.receipt_number, receipt.payment.card_last_four
    if number is not None and row.receipt_number is not None:
        return merchant_key(number) == merchant_key(row.receipt_number)  # two numbers are two purchases
    return card is not None and card == row.payment.card_last_four


class Duplicates:
    """Looks up possible duplicates."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    async def lookup(self, record: Record) -> str | None:
        """Return the document that `record` may be a duplicate of, or None; this takes at most one query.

        Equal bytes give equal merchant, day and total. The query is by content only if one of those is missing.
        """
        if record.status not in ("extracted", "needs_review"):
            return None
        question = _by_purchase(record.corrected) or _by_content(record)
        if question is None:
            return None
        answer = await self._dynamodb.query(TableName=self._table, Limit=MOST_CANDIDATES, **question)
        return find_duplicate(record, _rows(answer["Items"]))


def _rows(items: Iterable[Any]) -> Iterator[Row]:
    """Yield the rows that are valid; another program may have written one that is not."""
    for item in items:
        with contextlib.suppress(ValidationError):
            yield Row.model_validate(from_attributes(item))


def _by_purchase(receipt: Receipt | None) -> dict[str, Any] | None:
    merchant = merchant_key(receipt.merchant.name) if receipt else None
    if receipt is None or merchant is None or receipt.purchase_date is None or receipt.total is None:
        return None
    return {
        "IndexName": "by_merchant",
        "KeyConditionExpression": "merchant_key = :merchant AND purchase_day = :day",
        "FilterExpression": "#total = :total",
        "ExpressionAttributeNames": {"#total": "total"},
        "ExpressionAttributeValues": to_attributes(
            {":merchant": merchant, ":day": receipt.purchase_date.isoformat(), ":total": receipt.total}
        ),
    }


def _by_content(record: Record) -> dict[str, Any] | None:
    if record.content_sha256 is None:
        return None
    return {
        "IndexName": "by_content",
        "KeyConditionExpression": "content_sha256 = :content",
        "ExpressionAttributeValues": to_attributes({":content": record.content_sha256}),
    }
