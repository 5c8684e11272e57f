"""Options that select records, and terminal-safe text."""

import datetime as dt
import unicodedata

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from worker.commands.support import terminal
from worker.commands.support.selecting import amount, day, end_of, selecting
from worker.results.selection import BadQuery, Selection

TODAY = dt.date(2026, 11, 23)


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("today", TODAY),
        ("yesterday", dt.date(2026, 11, 22)),
        ("7d", dt.date(2026, 11, 16)),
        ("2026-01-31", dt.date(2026, 1, 31)),
    ],
)
def test_a_day_can_be_written_in_words(text: str, is_: dt.date) -> None:
    """A day is ISO 8601, a word, or a number of days ago."""
    assert day(text, today=TODAY) == is_


@pytest.mark.parametrize("text", ["", "soon", "d", "2026-02-30", "99999999999d"])
def test_an_invalid_day_is_refused_with_examples(text: str) -> None:
    """The error shows how to write a day."""
    with pytest.raises(BadQuery, match="write 2026-11-23"):
        day(text, today=TODAY)


@pytest.mark.parametrize("text", ["", "ten", "NaN", "-Infinity", "1e-99999", "1e400", "1e99999999", "1" * 40])
def test_an_invalid_amount_is_refused_with_an_example(text: str) -> None:
    """Text that is not an amount, or one that the table cannot store, is refused with an example."""
    with pytest.raises(BadQuery, match=r"write it as 12\.34"):
        amount(text)


def test_a_last_day_is_included_whole() -> None:
    """The end of a day is its last millisecond, the resolution of times in records."""
    assert end_of(TODAY) == dt.datetime(2026, 11, 23, 23, 59, 59, 999_000, tzinfo=dt.UTC)


def test_options_become_a_selection() -> None:
    """A selecting command receives its own options and the selection built from the shared ones."""
    seen: list[tuple[int, Selection]] = []

    @selecting
    def command(*, selection: Selection, limit: int = 3) -> None:
        seen.append((limit, selection))

    app = typer.Typer()
    app.command()(command)
    arguments = ["--limit", "5", "--status", "failed", "--needs-review", "--merchant", "ALDI", "--no-duplicates"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert seen == [(5, Selection(statuses=("failed", "needs_review"), merchant="ALDI", duplicates=False))]


def test_an_invalid_option_is_misuse() -> None:
    """An invalid option ends with exit code 2 and its reason, before the command runs."""

    @selecting
    def command(*, selection: Selection) -> None:
        raise AssertionError(selection)

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, ["--purchased-from", "whenever"])
    assert result.exit_code == 2
    assert "is not a day" in result.output


@given(st.text())
def test_no_control_character_is_printed(text: str) -> None:
    """Control characters and direction marks are removed from any text."""
    assert not [char for char in terminal.safe(text) if unicodedata.category(char).startswith("C")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07ALDI", "[2J]0;ownedALDI"),
        ("ALDI\u202e\u2066gpj.exe", "ALDIgpj.exe"),
        ("two\nlines\tand more", "two lines and more"),
        ("[red]ALDI[/red]", "[red]ALDI[/red]"),
    ],
)
def test_a_cell_shows_text_as_written(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, direction marks, line breaks and markup have no effect in a table."""
    rows = terminal.table("merchant")
    rows.add_row(*terminal.cells(text))
    terminal.console().print(rows)
    assert capsys.readouterr().out.splitlines()[1].rstrip() == shown


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("163.7", "USD", "163.70 USD"),
        ("1234", "JPY", "1,234 JPY"),
        ("0.5", None, "0.50"),
        ("1.239", "EUR", "1.239 EUR"),
    ],
)
def test_money_has_its_currency_s_decimals(amount: str, currency: str | None, shown: str) -> None:
    """An amount has at least the decimals of its currency, and keeps all of its own."""
    assert terminal.money(amount, currency) == shown
