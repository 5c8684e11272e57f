"""The store of records: one row per document, written by one conditional write."""

from collections.abc import Callable
from typing import Any

from worker.errors import Failed
from worker.receipts.record import Record, succeed
from worker.results.attributes import to_attributes
from worker.results.conditional import Rows
from worker.results.rows import from_item, to_item

MAX_RACES = 50
"""Lost races for one row after which something else must be wrong."""


class ResultsStore:
    """Reads and writes the records of documents."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def get(self, document: str) -> Record | None:
        """Return the current record of `document`, or None."""
        item = await self._rows.get(document, work=document)
        return from_item(item) if item and "status" in item else None

    async def put(self, record: Record, *, before_write: Callable[[], None] = lambda: None) -> Record:
        """Store `record` unless it may not replace the record that is there; return the record that is there then.

        Any order and number of puts of the same records ends in the same record: see `succeed`. `before_write` is
        called before each attempt; an exception that it raises ends the put.
        """
        old: Record | None = None
        new = record
        for _ in range(MAX_RACES):
            refused = await self._put_if(new, old, before_write)
            if refused is None:
                return new
            if not refused:  # the row was deleted between two attempts
                old, new = None, record
                continue
            old = from_item(refused)
            successor = succeed(old, record)
            if successor is None:
                return old
            new = successor
        raise Failed("contended", f"the row changed during each of {MAX_RACES} writes")

    async def _put_if(self, new: Record, old: Record | None, before_write: Callable[[], None]) -> dict[str, Any] | None:
        """Put `new` in place of `old`; return None, or else the row that is there instead."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(document)"}
        if old is not None:
            condition = {
                "ConditionExpression": "revision = :revision AND stored_at = :stored_at",
                "ExpressionAttributeValues": to_attributes({":revision": old.revision, ":stored_at": old.stored_at}),
            }
        return await self._rows.put(to_item(new), work=new.document, before_write=before_write, **condition)
