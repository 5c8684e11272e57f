"""Rows of receipts: one line each on a wide terminal, several on a narrow one. Words are never broken."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from worker.commands.support.terminal import safe, status_text, table

WIDE: Final = 130
"""Terminal width from which each receipt gets one line, in columns."""
SHORTEST_KEY: Final = 24


class Key:
    """A key that wraps after a slash if possible, else after a hyphen, an underscore or a blank."""

    def __init__(self, key: str, style: str = "") -> None:
        self.text = safe(key)
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in folded(self.text, options.max_width):
            yield Text(line, style=self._style, overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = cell_len(self.text)
        return Measurement(min(longest, SHORTEST_KEY), longest).with_maximum(options.max_width)


def folded(key: str, width: int) -> list[str]:
    """Return `key` in lines of at most `width` columns, as far as it has places to wrap at."""
    lines = [""]
    for part in _pieces(key, width):
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _pieces(key: str, width: int) -> Iterator[str]:
    for directory in re.split(r"(?<=/)", key):
        if cell_len(directory) <= width:
            yield directory
        else:
            yield from re.split(r"(?<=[-_ ])", directory)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One receipt on a narrow terminal."""

    status: str
    key: str
    merchant: str | None
    date: object
    total: str | None
    """With its currency."""
    asides: tuple[str, ...] = ()
    """Further facts, shown below the key in a few words each."""
    trouble: str = ""


def narrow_table(rows: Iterable[Row]) -> Table:
    """Return a table that fits 60 columns: the details of a receipt are below its merchant."""
    made = table("status", "receipt", "total", right=["total"], whole=["status", "total"])
    for row in rows:
        name = ", ".join(str(part) for part in (row.merchant, row.date) if part)
        parts: list[Text | Key] = [*([Text(safe(name))] if name else []), Key(row.key, style="dim")]
        if row.asides:
            parts.append(Text(safe(", ".join(row.asides)), style="dim"))
        if row.trouble:
            parts.append(Text(safe(row.trouble), style="yellow"))
        made.add_row(status_text(row.status), Group(*parts), Text(safe(row.total or "-")))
    return made
