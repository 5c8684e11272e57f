"""The head of receipts from many places: who sold, and when. Every shop is invented."""

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
def test_a_name_may_have_words_that_labels_and_slogans_have(shop: str) -> None:
    """A word such as "table", "phone" or "great" makes no label of a shop's name."""
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
def test_what_is_about_something_else_is_no_name(line: str) -> None:
    """Labels, sentences, owners, items and what is served are left for the name below or above."""
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
def test_a_name_is_taken_whole_and_alone(head: str, shop: str) -> None:
    """Without the greeting before it, the telephone behind it and the street under it; with the word above it."""
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
def test_a_shop_whose_head_is_a_picture_may_be_named_below(foot: str, shop: str | None) -> None:
    """The thanks or the site's address name it, with doubt; others' sites do not."""
    reading = extract([typed(f"22 Elm Street\nOmaha NE 68102{SUMS}\n{foot}")], today=TODAY)
    assert reading.receipt.merchant.name == shop
    assert reading.confidence.get("merchant.name", 0.0) < 0.6


def test_what_stands_between_two_lines_of_an_address_is_of_the_address() -> None:
    """A quarter whose name is not known is no shop's."""
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
def test_a_date_is_read_by_what_speaks_for_it(head: str, date: str | None) -> None:
    """Several hints order a date that none of them would alone; one until when goods may be returned is another."""
    assert day(head, "\nSoup   4.00\nTotal   4.00") == date
