from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.page import typed
from worker.reader.amounts import Amount, Role, amounts
from worker.reader.layout import rows, straighten

CENTS = "x  1,00\ny  2,00\n"
POINTS = "x  1.00\ny  2.00\n"


def read(text: str) -> list[Amount]:
    return amounts(rows(straighten(typed(text))))


def last(text: str) -> Amount:
    return read(text)[-1]


def grouped(value: Decimal, group: str, point: str) -> str:
    return f"{value:,.2f}".replace(",", "G").replace(".", point).replace("G", group)


@given(
    st.decimals(min_value=Decimal("0.01"), max_value=Decimal("999999.99"), places=2),
    st.sampled_from([(",", "."), (".", ","), ("'", "."), ("", "."), ("", ",")]),
)
def test_money_is_read_in_every_convention(value: Decimal, marks: tuple[str, str]) -> None:
    """An amount with the separators of any country is read as the intended value."""
    group, point = marks
    found = last(f"x  1{point}00\ny  2{point}00\nTotal  {grouped(value, group, point)}")
    assert (found.value, found.places, found.role) == (value, 2, Role.MONEY)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (POINTS + "Total  RMO.40", "0.40"),
        (POINTS + "Total  44. 00", "44.00"),
        (POINTS + "Total  RM 10 00", "10.00"),
        (POINTS + "eggs  .88 FS", "0.88"),
        (POINTS + "SUMME EUR  19.99 *", "19.99"),
        (POINTS + "Total  $1,203.39", "1203.39"),
        (POINTS + "Total  $30,473.00", "30473.00"),
        (CENTS + "Pfand  0,45-V", "-0.45"),
        (CENTS + "Rückgeld EUR  -5,02", "-5.02"),
        (POINTS + "Discount  1.84-", "-1.84"),
        (CENTS + "Milch  2.345,00", "2345.00"),
        ("a  82.000\nb  61.000\nTOTAL  Rp 107.800", "107800"),
        ("a  82,000\nb  61,000\nTOTAL  174,600", "174600"),
        ("a  95\nb  70\nTotal  165", "165"),
    ],
)
def test_printed_and_misread_money_is_read(text: str, value: str) -> None:
    """Signs, currency marks, grouped thousands and common OCR errors give the printed value."""
    assert last(text).value == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "24-11-17 13:11",
        "Tel 02 40 55 01 73",
        "Tel: 03-7731 8169",
        "9557368063013",
        "3IN1 RON95",
        "XXXXXXXXXXXX1428",
        "7/118B",
    ],
)
def test_other_numbers_are_not_money(text: str) -> None:
    """Dates, times, telephones, article and card numbers are not amounts."""
    assert not [amount for amount in read(POINTS + text)[2:] if amount.places == 2 or amount.role is Role.MONEY]


@pytest.mark.parametrize(
    ("text", "role"),
    [("MwSt 19,0 %", Role.PERCENT), ("0,543 kg", Role.QUANTITY), ("2 x", Role.QUANTITY), ("2 @ 8.00", Role.UNIT_PRICE)],
)
def test_the_role_of_a_number_follows_from_its_neighbours(text: str, role: Role) -> None:
    """Rates, quantities and unit prices are distinguished from money."""
    assert last(CENTS + text).role is role
