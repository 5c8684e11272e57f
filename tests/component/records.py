"""Records for tests of the results table, written in the worker's format."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tests.component.emulators import Aws
from worker.receipts.document import timestamp
from worker.receipts.receipt import Item, Merchant, Payment, Receipt
from worker.receipts.record import ModelIdentity, Record
from worker.results.attributes import to_attributes
from worker.results.rows import to_item

START = dt.datetime(2026, 11, 1, 8, 0, tzinfo=dt.UTC)
MODEL = ModelIdentity(endpoint="embedded", protocol="image", protocol_version="1", model_version="1.0.0")


def receipt(number: int = 0, **changes: Any) -> Receipt:
    """Return a receipt whose items add up to its total."""
    fields: dict[str, Any] = {
        "merchant": Merchant(name="Café Müller"),
        "purchase_date": dt.date(2026, 10, 1) + dt.timedelta(days=number % 50),
        "currency": "EUR",
        "items": (Item(description="Milk", quantity=Decimal(2), unit_price=Decimal("0.50"), amount=Decimal("1.00")),),
        "total": Decimal("1.00") + number,
        "payment": Payment(method="card", card_last_four="1234"),
        "receipt_number": f"R-{number}",
    }
    return Receipt(**(fields | changes))


def record(number: int, *, bucket: str = "receipts", said: Receipt | None = None, **changes: Any) -> Record:
    """Return record `number`, uploaded `number` seconds after `START`."""
    document = f"{bucket}/in/{number:06}.jpg"
    uploaded = START + dt.timedelta(seconds=number)
    fields: dict[str, Any] = {
        "document": document,
        "status": "extracted",
        "uploaded_at": timestamp(uploaded),
        "stored_at": timestamp(uploaded + dt.timedelta(seconds=4)),
        "etag": hashlib.md5(document.encode()).hexdigest(),
        "content_sha256": hashlib.sha256(document.encode()).hexdigest(),
        "media_type": "image/jpeg",
        "receipt": said or receipt(number),
        "confidence": 0.9,
        "model": MODEL,
        "attempts": 1,
    }
    if changes.get("status") in ("rejected", "failed"):
        fields |= {"receipt": None, "confidence": None, "model": None, "reason": "too_large"}
    return Record(**(fields | changes))


async def put(aws: Aws, records: Iterable[Record]) -> None:
    """Write `records` into the table in batches of 25."""
    items = [{"PutRequest": {"Item": to_attributes(to_item(one))}} for one in records]
    gate = asyncio.Semaphore(4)

    async def write(batch: list[Any]) -> None:
        async with gate:
            answer = await aws.clients.dynamodb.batch_write_item(RequestItems={aws.resources.table: batch})
            assert not answer.get("UnprocessedItems")

    await asyncio.gather(*(write(items[start : start + 25]) for start in range(0, len(items), 25)))
