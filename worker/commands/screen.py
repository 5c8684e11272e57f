"""What `receipts local` and `receipts submit` show: progress on stderr, records on stdout."""

import datetime as dt
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from worker.commands.rows import WIDE, Key, Row, narrow_table
from worker.commands.terminal import cells, console, money, safe, status_text, table
from worker.receipts.record import Record

if TYPE_CHECKING:
    from rich.progress import TaskID

    from worker.local.stack import Stack

COLUMNS = ("key", "status", "merchant", "date", "total", "currency", "confidence", "what did not add up", "seconds")


class JsonScreen:
    """One stored record a line on stdout for programs; what is for people goes to stderr."""

    def note(self, sentence: str) -> None:
        """Print what a person should know."""
        sys.stderr.write(f"{safe_lines(sentence)}\n")

    def ready(self, part: str) -> None:
        """Say nothing: a program waits for records."""

    def sending(self, total: int) -> None:
        """Say nothing: a program waits for records."""

    def done(self, record: Record) -> None:
        """Print the record."""
        print(json.dumps(record.as_json(), ensure_ascii=False), flush=True)

    def summary(self, found: list[Record]) -> None:
        """Say nothing: each record was printed when it came."""

    def running(self, stack: "Stack", inbox: Path | None) -> None:
        """Say nothing: a program waits for records."""

    def arrived(self, record: Record) -> None:
        """Print the record."""
        self.done(record)


class PeopleScreen:
    """Progress while it works, a table when it is done, a line for each record that comes later.

    Use it as a context manager, so that the terminal is as before at the end.
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
        """Move on by one part, or say so where nothing can move."""
        if self._live and self._task is not None:
            self._progress.update(self._task, advance=1, description=f"Starting: {part} ready")
        else:
            self.note(f"Ready: {part}.")

    def sending(self, total: int) -> None:
        """Begin to count receipts."""
        if self._live and self._task is not None:
            self._progress.reset(self._task, total=total, description="Reading receipts")
        else:
            self.note(f"Reading {total} receipts …")

    def done(self, record: Record) -> None:
        """Count one."""
        if self._live and self._task is not None:
            name = safe(_key(record))
            self._progress.update(self._task, advance=1, description=f"Reading receipts: {name[-40:]}")

    def summary(self, found: list[Record]) -> None:
        """Print the table."""
        self._progress.stop()
        self._out.print(record_table(found, width=self._out.width))

    def running(self, stack: "Stack", inbox: Path | None) -> None:
        """Print how more receipts get in."""
        from worker.local.environment import CHOICE, aws_command, running
        from worker.local.samples import sample_files

        sample = _short(sample_files()[0])
        into = f"s3://{stack.resources.bucket}/"
        command = f"{_command()} --local"
        if len(running()) > 1:
            command = f"{CHOICE}={stack.http_port} {command}"
        lines = [
            "",
            "Running until Ctrl-C. More receipts go in by any of these:",
            *([f"  cp {sample} {_short(inbox)}/"] if inbox else []),
            f"  {command} submit {sample}",
            f"  {aws_command(stack.environment, 's3', 'cp', str(sample), into)}",
            f"In another terminal, `{command} …` speaks to this stack; so does any program with:",
            f"  {export_line(stack)}",
            f"The console, in a browser: http://127.0.0.1:{stack.http_port}/",
            "",
        ]
        for line in lines:
            self._err.print(Text(line), soft_wrap=True)

    def arrived(self, record: Record) -> None:
        """Print one line about it."""
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


def _command() -> str:
    """Return how this command is called here: by its name where the shell finds it, else by where it lies."""
    return "receipts" if shutil.which("receipts") else str(_short(Path(sys.executable).parent / "receipts"))


def export_line(stack: "Stack") -> str:
    """Return a shell line that makes any program speak to `stack`."""
    names = [
        # boto3 and what is built on it read the region from the second name alone.
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"),
        *(name for name in stack.environment if name.startswith("RECEIPTS_")),
    ]
    return "export " + " ".join(f"{name}={stack.environment[name]}" for name in names)


def record_table(found: list[Record], *, width: int) -> Table:
    """Return the table of `found`, one row a record, for a terminal of `width` columns."""
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
    """Return what did not add up, or why there is no receipt."""
    why = ": ".join(part for part in (record.reason, record.detail) if part) if record.receipt is None else ""
    return " ".join([*([why] if why else []), *(result.message for result in record.checks)])


def seconds(record: Record) -> float:
    """Return the time from the upload to the record."""
    uploaded, stored = (dt.datetime.fromisoformat(moment) for moment in (record.uploaded_at, record.stored_at))
    return max(0.0, (stored - uploaded).total_seconds())


def safe_lines(text: str) -> str:
    """Return `text` without what a terminal would obey, its lines kept."""
    return "\n".join(safe(line) for line in text.splitlines())


def _short(path: Path) -> Path:
    """Return `path` as it is shortest from here."""
    relative = Path(os.path.relpath(path))
    return relative if len(str(relative)) < len(str(path)) else path
