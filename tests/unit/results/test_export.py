"""Exports have every field in its column, and nothing that a spreadsheet would execute."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.component.records import receipt, record
from worker.receipts.receipt import Merchant, Receipt, Tax
from worker.results.export import FORMULA_STARTS, Csv, JsonLines, Parquet, cell

HOSTILE = (
    "=HYPERLINK(1)",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\uff1d1",
    "<script>",
    'a"b,c\nd',
    "\x1b[2J\u202eevil",
)


@given(st.text())
def test_no_text_becomes_a_formula(text: str) -> None:
    """For any text, the cell does not start like a formula."""
    assert not cell(text).startswith(FORMULA_STARTS)


@given(st.text("a;=\t \n-@,\uff1d\"'"))
def test_no_text_becomes_a_formula_in_another_country_s_spreadsheet(text: str) -> None:
    """Text after a semicolon or tab, which may end a cell, does not start like a formula either."""
    for part in re.split(r"[;\t\n]", cell(text)):
        assert not part.lstrip(" ").startswith(FORMULA_STARTS)


@pytest.mark.parametrize("number", ["-5.00", "+0.10", "1E+2", "0.000001"])
def test_a_number_stays_one(number: str) -> None:
    """Amounts keep sign and decimals, without an apostrophe or exponent."""
    assert Decimal(cell(Decimal(number))) == Decimal(number)
    assert "E" not in cell(Decimal(number))


def test_hostile_text_in_every_column_stays_in_its_cell() -> None:
    """Separators, quotes, line breaks, formulas and escape sequences do no harm in a CSV."""
    for text in HOSTILE:
        said = receipt(1, merchant=Merchant(name=text, address=text, phone=text, tax_id=text), receipt_number=text)
        out = io.StringIO()
        Csv(out, items=False).write(record(1, said=said, reason=text, reviewed_by=text))
        (row,) = csv.DictReader(io.StringIO(out.getvalue()))
        assert row["total"] == "2.00"
        assert row["currency"] == "EUR"
        assert not any(value.startswith(FORMULA_STARTS) for value in row.values() if value)
        assert "\x1b" not in out.getvalue()
        assert "\u202e" not in out.getvalue()


def test_csv_has_the_corrected_values() -> None:
    """A corrected field is exported with its new value and listed as corrected; taxes are summed."""
    said = receipt(1, taxes=(Tax(amount=Decimal("0.10")), Tax(amount=Decimal("0.20"))))
    out = io.StringIO()
    assert Csv(out, items=False).write(record(1, said=said, corrections={"total": "3.00"})) == 1
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["total"], row["corrected"], row["tax"], row["items"]) == ("3.00", "total", "0.30", "1")


def test_items_are_rows_of_their_own() -> None:
    """Each item is a row; a receipt without items and a rejected upload have none."""
    out = io.StringIO()
    writer = Csv(out, items=True)
    assert writer.write(record(1)) == 1
    assert writer.write(record(2, said=Receipt())) == 0
    assert writer.write(record(3, status="rejected")) == 0
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["description"], row["quantity"], row["unit_price"], row["amount"]) == ("Milk", "2", "0.50", "1.00")


def test_json_lines_hold_the_whole_record() -> None:
    """Each record is one line of JSON without terminal control characters."""
    hostile = record(1, said=receipt(1, merchant=Merchant(name="a\nb\x9b2J\u202e")))
    out = io.StringIO()
    JsonLines(out).write(hostile)
    assert json.loads(out.getvalue()) == hostile.as_json()
    assert out.getvalue().count("\n") == 1
    assert not {"\x9b", "\u202e"} & set(out.getvalue())


def test_parquet_keeps_money_exact(tmp_path: Path) -> None:
    """Parquet keeps amounts as equal decimals, across several row groups."""
    import pyarrow.parquet as pq

    writer = Parquet(tmp_path / "out.parquet", items=False)
    for number in range(5_003):
        writer.write(record(number, said=receipt(1, total=Decimal(number) / 100)))
    writer.close()
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.num_rows == 5_003
    assert found.column("total").to_pylist() == [Decimal(number) / 100 for number in range(5_003)]
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 2
