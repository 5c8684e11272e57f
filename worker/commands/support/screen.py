"""The output of `receipts local` and `receipts submit`: progress on stderr, records on stdout."""

import datetime as dt
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from worker.commands.support.rows import WIDE, Key, Row, narrow_table
from worker.commands.support.terminal import cells, console, money, safe, status_text, table
from worker.receipts.record import Record

if TYPE_CHECKING:
    from rich.progress import TaskID

COLUMNS = ("key", "status", "merchant", "date", "total", "currency", "confidence", "failed checks", "seconds")


class JsonScreen:
    """Output for programs: one stored record per line on stdout, notes on stderr."""

    def note(self, sentence: str) -> None:
        """Print what a person should know."""
        sys.stderr.write(f"{safe_lines(sentence)}\n")

    def ready(self, part: str) -> None:
        """Print nothing: programs read only records."""

    def sending(self, total: int) -> None:
        """Print nothing: programs read only records."""

    def done(self, record: Record) -> None:
        """Print the record."""
        print(json.dumps(record.as_json(), ensure_ascii=False), flush=True)

    def summary(self, found: list[Record]) -> None:
        """Print nothing: each record was printed when it arrived."""

    def running(self, instructions: Sequence[str]) -> None:
        """Print nothing: programs read only records."""

    def arrived(self, record: Record) -> None:
        """Print the record."""
        self.done(record)


class PeopleScreen:
    """Output for people: progress, then a table, then one line for each later record.

    It is a context manager, which restores the terminal at the end.
    """

    def __init__(self) -> None:
        self._out = console()
        self._err = console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._err,
            transient=True,
            disable=not self._err.is_terminal,
        )
        self._task: TaskID | None = None
        self._live = self._err.is_terminal

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("Starting", total=3)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, sentence: str) -> None:
        """Print what a person should know."""
        self._err.print(Text(safe_lines(sentence)), soft_wrap=True)

    def ready(self, part: str) -> None:
        """Advance the progress bar by one part, or print a line without a terminal."""
        if self._live and self._task is not None:
            self._progress.update(self._task, advance=1, description=f"Starting: {part} ready")
        else:
            self.note(f"Ready: {part}.")

    def sending(self, total: int) -> None:
        """Start the progress bar over `total` receipts."""
        if self._live and self._task is not None:
            self._progress.reset(self._task, total=total, description="Reading receipts")
        else:
            self.note(f"Reading {total} receipts …")

    def done(self, record: Record) -> None:
        """Advance the progress bar by one receipt."""
        if self._live and self._task is not None:
            name = safe(_key(record))
            self._progress.update(self._task, advance=1, description=f"Reading receipts: {name[-40:]}")

    def summary(self, found: list[Record]) -> None:
        """Print the table."""
        self._progress.stop()
        self._out.print(record_table(found, width=self._out.width))

    def running(self, instructions: Sequence[str]) -> None:
        """Print how to send more receipts."""
        for line in instructions:
            self._err.print(Text(line), soft_wrap=True)

    def arrived(self, record: Record) -> None:
        """Print one line about the record."""
        receipt = record.receipt
        parts = [
            status_text(record.status),
            Text(safe(_key(record))),
            *(
                cells(receipt.merchant.name, receipt.purchase_date, money(receipt.total, receipt.currency))
                if receipt
                else ()
            ),
            Text(f"{seconds(record):.1f} s"),
            Text(safe(troubles(record)), style="yellow"),
        ]
        self._out.print(Text("  ").join(part for part in parts if part.plain), soft_wrap=True)


def record_table(found: list[Record], *, width: int) -> Table:
    """Return a table with one row per record, for a terminal of `width` columns."""
    if width < WIDE:
        return narrow_table(map(_narrow, found))
    numbers = ["total", "confidence", "seconds"]
    made = table(*COLUMNS, right=numbers, whole=["status", "date", "currency", *numbers])
    for record in found:
        receipt = record.receipt
        made.add_row(
            Key(_key(record)),
            status_text(record.status),
            *cells(
                receipt.merchant.name if receipt else None,
                receipt.purchase_date if receipt else None,
                money(receipt.total, None) if receipt else None,
                receipt.currency if receipt else None,
                f"{record.confidence:.2f}" if record.confidence is not None else None,
                troubles(record),
                f"{seconds(record):.1f}",
            ),
        )
    return made


def _narrow(record: Record) -> Row:
    receipt = record.receipt
    sure = () if record.confidence is None else (f"confidence {record.confidence:.2f}",)
    return Row(
        status=record.status,
        key=_key(record),
        merchant=receipt.merchant.name if receipt else None,
        date=receipt.purchase_date if receipt else None,
        total=money(receipt.total, receipt.currency) if receipt else None,
        asides=(*sure, f"{seconds(record):.1f} s"),
        trouble=troubles(record),
    )


def _key(record: Record) -> str:
    return record.document.partition("/")[2]


def troubles(record: Record) -> str:
    """Return the messages of the failed checks, or the reason why the record has no receipt."""
    why = ": ".join(part for part in (record.reason, record.detail) if part) if record.receipt is None else ""
    return " ".join([*([why] if why else []), *(result.message for result in record.checks)])


def seconds(record: Record) -> float:
    """Return the seconds from the upload to the record, at least 0."""
    uploaded, stored = (dt.datetime.fromisoformat(moment) for moment in (record.uploaded_at, record.stored_at))
    return max(0.0, (stored - uploaded).total_seconds())


def safe_lines(text: str) -> str:
    """Return `text` without terminal control characters, except line breaks."""
    return "\n".join(safe(line) for line in text.splitlines())
