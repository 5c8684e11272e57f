"""Tables and sentences for people. Text from a receipt is printed literally, never as markup or control characters."""

import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.receipts.currency import with_decimals
from worker.receipts.text import printable as safe

__all__ = ["as_text", "cells", "console", "money", "safe", "short_time", "status_text", "table"]
STATUS_STYLES: Final = {"extracted": "green", "needs_review": "yellow", "rejected": "magenta", "failed": "red"}
PIPED_WIDTH: Final = 200
"""Width of a table that goes to a file or a pipe, in columns."""


def console(*, stderr: bool = False) -> Console:
    """Return the console for stdout (tables) or stderr (progress)."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPED_WIDTH, highlight=False, emoji=False)


def table(*columns: str, title: str | None = None, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Return an empty table. Columns in `right` are right-aligned, columns in `whole` never wrap."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    return made


def cells(*values: object, style: str = "") -> list[Text]:
    """Return `values` as cells of a row; a missing value is a dash."""
    return [Text("-" if value is None or value == "" else safe(value), style=style) for value in values]


def money(amount: Decimal | str | None, currency: str | None) -> str | None:
    """Return an amount such as "1,234.50 EUR", with at least the decimals of its currency."""
    if amount is None:
        return None
    return f"{with_decimals(Decimal(amount), currency):,f} {currency or ''}".rstrip()


def status_text(status: str) -> Text:
    """Return the status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def short_time(moment: str) -> str:
    """Return a record's time to the minute: "2026-11-23 14:05"."""
    return moment[:16].replace("T", " ")


def as_text(value: Any) -> str:
    """Return a field's value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list | tuple):
        return "; ".join(as_text(part) for part in value)
    return str(value)
