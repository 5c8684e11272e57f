"""Export of records as CSV, JSON lines or Parquet, streamed in constant memory.

A merchant may be called `=HYPERLINK(…)`. In CSV, a text that a spreadsheet would treat as a formula gets an apostrophe
in front. So does a formula inside a text, after a character that other locales use as the cell separator
(owasp.org/www-community/attacks/CSV_Injection). Numbers stay numbers and keep their sign.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from worker.errors import SettingsError
from worker.receipts.receipt import Item, Receipt
from worker.receipts.record import Record
from worker.receipts.text import printable_json
from worker.results.attributes import from_attributes
from worker.results.query import BATCH_GET, Results
from worker.results.rows import from_item
from worker.results.selection import Selection

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 # the full-width forms start formulas too
_NEXT_CELL: Final = re.compile("(?<=[;\t\n])( *)(?=[=+@＝＋－＠-])")  # noqa: RUF001 # as above
"""The start of a formula after a character that some spreadsheets use as the cell separator instead of the comma."""
ROW_GROUP: Final = 5_000
"""Rows that are buffered and written together into a Parquet file."""
SCAN_PAGE: Final = 200
"""Items per page of a scan."""
MONEY_PLACES: Final = 10
"""Decimal places of amounts in a Parquet file."""

TEXT: Final = "text"
NUMBER: Final = "number"
WHOLE: Final = "whole"

RECORD_COLUMNS: Final = {
    "document": TEXT,
    "status": TEXT,
    "reason": TEXT,
    "merchant_name": TEXT,
    "merchant_address": TEXT,
    "merchant_phone": TEXT,
    "merchant_tax_id": TEXT,
    "purchase_date": TEXT,
    "purchase_time": TEXT,
    "currency": TEXT,
    "subtotal": NUMBER,
    "tax": NUMBER,
    "discount": NUMBER,
    "tip": NUMBER,
    "total": NUMBER,
    "payment_method": TEXT,
    "card_last_four": TEXT,
    "receipt_number": TEXT,
    "country": TEXT,
    "language": TEXT,
    "items": WHOLE,
    "confidence": NUMBER,
    "checks": TEXT,
    "corrected": TEXT,
    "possible_duplicate_of": TEXT,
    "reviewed_at": TEXT,
    "reviewed_by": TEXT,
    "uploaded_at": TEXT,
    "stored_at": TEXT,
    "content_sha256": TEXT,
    "endpoint": TEXT,
    "model_version": TEXT,
    "replay_id": TEXT,
}
ITEM_COLUMNS: Final = {
    "document": TEXT,
    "status": TEXT,
    "merchant_name": TEXT,
    "purchase_date": TEXT,
    "currency": TEXT,
    "item": WHOLE,
    "description": TEXT,
    "product_code": TEXT,
    "quantity": NUMBER,
    "unit_price": NUMBER,
    "amount": NUMBER,
}

Row = dict[str, Any]


async def every_record(
    dynamodb: "DynamoDBClient", table: str, *, on_read: Callable[[int], None] = lambda _: None
) -> AsyncIterator[Record]:
    """Yield every record by scanning the whole table, `SCAN_PAGE` items at a time.

    A full DynamoDB page of 1 MB would need many times that memory once parsed. Calls `on_read` with the number of
    items that DynamoDB read for each page.
    """
    start: dict[str, Any] = {}
    while True:
        answer = await dynamodb.scan(
            TableName=table, FilterExpression="attribute_exists(status_shard)", Limit=SCAN_PAGE, **start
        )
        on_read(answer["ScannedCount"])
        for item in answer["Items"]:
            yield from_item(from_attributes(item))
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


async def chosen_records(
    results: Results, selection: Selection, *, on_read: Callable[[int], None] = lambda _: None
) -> AsyncIterator[Record]:
    """Yield the records of `selection`, found by an index and then fetched whole in batches of 100."""
    batch: list[str] = []
    async for row in results.walk(selection, on_read=on_read):
        batch.append(row.document)
        if len(batch) == BATCH_GET:
            for record in await _fetched(results, batch):
                yield record
            batch.clear()
    for record in await _fetched(results, batch):
        yield record


async def _fetched(results: Results, documents: list[str]) -> list[Record]:
    found = await results.get_many(documents)
    return [found[document] for document in documents if document in found]


def record_rows(record: Record) -> Iterator[Row]:
    """Yield the single row of `record`, with a person's corrections applied."""
    receipt = record.corrected
    said = receipt or Receipt()
    taxes = [tax.amount for tax in said.taxes if tax.amount is not None]
    yield {
        "document": record.document,
        "status": record.status,
        "reason": record.reason,
        **{f"merchant_{name}": value for name, value in said.merchant.model_dump().items()},
        "purchase_date": said.purchase_date.isoformat() if said.purchase_date else None,
        "purchase_time": said.purchase_time,
        "currency": said.currency,
        "subtotal": said.subtotal,
        "tax": sum(taxes, Decimal(0)) if taxes else None,
        "discount": said.discount,
        "tip": said.tip,
        "total": said.total,
        "payment_method": said.payment.method,
        "card_last_four": said.payment.card_last_four,
        "receipt_number": said.receipt_number,
        "country": said.country,
        "language": said.language,
        "items": len(said.items) if receipt else None,
        "confidence": None if record.confidence is None else Decimal(str(record.confidence)),
        "checks": " ".join(check.name for check in record.checks) or None,
        "corrected": " ".join(record.corrections) or None,
        "possible_duplicate_of": record.possible_duplicate_of,
        "reviewed_at": record.reviewed_at,
        "reviewed_by": record.reviewed_by,
        "uploaded_at": record.uploaded_at,
        "stored_at": record.stored_at,
        "content_sha256": record.content_sha256,
        "endpoint": record.model.endpoint if record.model else None,
        "model_version": record.model.model_version if record.model else None,
        "replay_id": record.replay_id,
    }


def item_rows(record: Record) -> Iterator[Row]:
    """Yield one row per item of `record`, with a person's corrections applied."""
    receipt = record.corrected
    if receipt is None:
        return
    for number, item in enumerate(receipt.items, start=1):
        yield {
            "document": record.document,
            "status": record.status,
            "merchant_name": receipt.merchant.name,
            "purchase_date": receipt.purchase_date.isoformat() if receipt.purchase_date else None,
            "currency": receipt.currency,
            "item": number,
            **{name: getattr(item, name) for name in Item.model_fields},
        }


class Writer(Protocol):
    """An export format: writes one record at a time."""

    def write(self, record: Record) -> int:
        """Write `record` and return the number of rows written."""

    def close(self) -> None:
        """Write any buffered rows. The stream stays open."""


class JsonLines:
    """A writer of JSON lines: one whole record per line."""

    def __init__(self, out: io.TextIOBase) -> None:
        self._out = out

    def write(self, record: Record) -> int:
        """Write `record` as one line."""
        self._out.write(printable_json(record.as_json()) + "\n")
        return 1

    def close(self) -> None:
        """Do nothing: no rows are buffered."""


class Csv:
    """A CSV writer: a header, then one row per record or per item."""

    def __init__(self, out: io.TextIOBase, *, items: bool) -> None:
        self._rows = item_rows if items else record_rows
        self._writer = csv.DictWriter(out, ITEM_COLUMNS if items else RECORD_COLUMNS)
        self._writer.writeheader()

    def write(self, record: Record) -> int:
        """Write the rows of `record`."""
        count = 0
        for count, row in enumerate(self._rows(record), start=1):  # noqa: B007 # the last number is the count
            self._writer.writerow({name: cell(value) for name, value in row.items()})
        return count

    def close(self) -> None:
        """Do nothing: no rows are buffered."""


def cell(value: object) -> str:
    """Return `value` as a CSV cell that no spreadsheet treats as a formula."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int):
        return str(value)
    text = "".join(char for char in str(value) if char in "\n\t" or char.isprintable())
    text = _NEXT_CELL.sub(r"\1'", text)
    return f"'{text}" if text.lstrip(" \n").startswith(FORMULA_STARTS) or text.startswith(FORMULA_STARTS) else text


class Parquet:
    """A Parquet writer: one row per record or per item, amounts as decimals. Rows are buffered in groups."""

    def __init__(self, path: Path, *, items: bool) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise SettingsError("Parquet needs pyarrow: install receipts-worker[analysis].") from error
        types = {TEXT: pa.string(), NUMBER: pa.decimal128(38, MONEY_PLACES), WHOLE: pa.int64()}
        columns = ITEM_COLUMNS if items else RECORD_COLUMNS
        self._pa = pa
        self._rows = item_rows if items else record_rows
        self._schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._group: list[Row] = []

    def write(self, record: Record) -> int:
        """Buffer the rows of `record`, and write the buffer once a group is full."""
        rows = [{name: _column(value) for name, value in row.items()} for row in self._rows(record)]
        self._group += rows
        if len(self._group) >= ROW_GROUP:
            self._flush()
        return len(rows)

    def close(self) -> None:
        """Write the last group and the file's footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._group:
            self._writer.write_table(self._pa.Table.from_pylist(self._group, schema=self._schema))
            self._group.clear()


def _column(value: Any) -> Any:
    return round(value, MONEY_PLACES) if isinstance(value, Decimal) else value
