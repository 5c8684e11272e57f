"""Heads of receipts from many places: merchant names and dates. All shops are invented."""

import datetime as dt

import pytest

from tests.support.page import typed
from worker.reader.fields import extract

TODAY = dt.date(2026, 11, 23)
SUMS = "\nSoup   4.00\nSalad   6.00\nSubtotal   10.00\nTax   0.80\nTotal   $10.80"


def name(head: str, sums: str = SUMS) -> str | None:
    return extract([typed(head + sums)], today=TODAY).receipt.merchant.name


def day(head: str, sums: str = SUMS) -> str | None:
    found = extract([typed(head + sums)], today=TODAY).receipt.purchase_date
    return found.isoformat() if found else None


@pytest.mark.parametrize(
    "shop",
    [
        "Our Daily Loaf Cafe",
        "Phone Planet",
        "FARMHOUSE TABLE",
        "TIME OUT SPORTS BAR",
        "The Original Waffle Barn",
        "BACK YARD BURGERS",
        "PRICE HARBOR MARKET",
        "PAGE TURNER BOOKS",
        "OPEN HEARTH KITCHEN",
        "GREAT WALL CHINESE RESTAURANT",
        "FAMILY BARGAIN STORE",
        "LOVE'S ROADSIDE STOP",
        "BURGER BARN #1182",
    ],
)
def test_a_name_may_have_words_of_labels_and_slogans(shop: str) -> None:
    """A shop's name may have words such as "table", "phone" or "great"."""
    assert name(f"{shop}\nStore 221\n450 Western Ave\nAlbany, NY 12203") == shop


@pytest.mark.parametrize(
    "line",
    [
        "CUSTOMER COPY",
        "Check #: 40182  Guests 2",
        "Table 12/1",
        "STORE 0913",
        "Server: Kelly",
        "See back of receipt for your chance",
        "to win $1000  ID: 7KLQ",
        "Owned and operated by: NENA FOODS",
        "0042 Maria",
        "Mocha Latte   45.000",
        "SARL FBD au capital de 8000 EUR",
        "Indian Cuisine",
        "Sniped",
        "Custorner-activated Purcnase",
        "EUR",
    ],
)
def test_other_lines_are_not_names(line: str) -> None:
    """Labels, sentences, owners and items are skipped in favour of the name above or below."""
    assert name(f"{line}\nTaste of Brasado\n18 Plaza Way\nSalem, OR 97301") == "Taste of Brasado"


@pytest.mark.parametrize(
    ("head", "shop"),
    [
        ("Welcome to Rosie's Barn #88\n900 E Colonial Dr\nOrlando, FL 32803", "Rosie's Barn #88"),
        ("THANK YOU FOR SHOPPING AT\nDOLLAR COMET\n88 Route 17", "DOLLAR COMET"),
        ("Fresh Hoagie Shop #302  Phone 281-555-0190\n1990 Westheimer", "Fresh Hoagie Shop #302"),
        ("PERUSAHAAN MAKANAN\nSELERA KITA SDN. BHD.\n12 Jalan Lama", "PERUSAHAAN MAKANAN SELERA KITA SDN. BHD."),
        ("THE\nGARLIC PRESS\n108 North Front St.", "THE GARLIC PRESS"),
        ("AYAM RANCAK\n(RANCAK FOODS SDN BHD)\nLot 12 Gurney Plaza", "AYAM RANCAK"),
        ("The Corner Waffle\n1220 Market St\nWilmington, DE 19801", "The Corner Waffle"),
    ],
)
def test_a_name_is_read_completely_and_alone(head: str, shop: str) -> None:
    """The name excludes greeting, telephone and street, and includes the word above it."""
    assert name(head) == shop


@pytest.mark.parametrize(
    ("foot", "shop"),
    [
        ("THANK YOU FOR SHOPPING AT RIVERSIDE HARDWARE", "RIVERSIDE HARDWARE"),
        ("www.bright-lamp.com", "bright-lamp"),
        ("Mail: hello@brightlamp.co.uk", "brightlamp"),
        ("www.tellbrightlamp.com", None),
        ("jane@gmail.com", None),
        ("THANK YOU FOR SHOPPING WITH US", None),
    ],
)
def test_a_name_may_come_from_the_greeting_or_web_site(foot: str, shop: str | None) -> None:
    """The greeting or web site gives the name with low confidence; web sites of others do not."""
    reading = extract([typed(f"22 Elm Street\nOmaha NE 68102{SUMS}\n{foot}")], today=TODAY)
    assert reading.receipt.merchant.name == shop
    assert reading.confidence.get("merchant.name", 0.0) < 0.6


def test_a_line_between_two_address_lines_is_not_the_name() -> None:
    """A line between two address lines is part of the address."""
    assert name("Zeta and coffee 28S/B\nNo 53, Jalan 3/62A,\nBandarbaruindah\n52200 Kuala Lumpur.") == (
        "Zeta and coffee 28S/B"
    )


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ("GAS N GO\n4100 US HWY 30\n10/03/16 18:27\nGALLONS: 9.871", "2016-10-03"),
        ("NOODLE BAR\n05/06/2014 7:12 PM\nServer: Li\nTip $1.00", "2014-05-06"),
        ("SUPER VEGA\nON SALE TODAY\n900 E Grand Ave\n12/09/16 16:45\nTax   0.30", "2016-12-09"),
        ("KEDAI SRI\nJALAN PASAR KLANG\nDATE : 5TH APRIL 2018", "2018-04-05"),
        ("RUNCIT JAYA\nJALAN PASAR KLANG\n28-03-1718:26SH01", "2017-03-28"),
        ("SIAM SPICE\nBangkok\n05/04/2560 19:10", "2017-04-05"),
        ("INV.NO: A12\nHDMI CABLE 6 FT\nCORNER HARDWARE\n0.5 kg\n05/06/2009", None),
        ("CRAFT CORNER\n300 Mall Rd Burlington MA 01803\nRETURN BY 11/12/2018", None),
    ],
)
def test_a_date_is_read_by_its_evidence(head: str, date: str | None) -> None:
    """Weak hints together decide the order of a date, and the end of a return period is not the date."""
    assert day(head, "\nSoup   4.00\nTotal   4.00") == date
