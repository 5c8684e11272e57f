import datetime as dt
from decimal import Decimal

import pytest

from tests.support.page import typed
from worker.reader.fields import extract
from worker.receipts.receipt import Reading, Receipt

TODAY = dt.date(2026, 11, 23)


def read(*pages: str, score: float = 0.99, heights: dict[int, float] | None = None) -> Reading:
    return extract([typed(page, score=score, heights=heights) for page in pages], today=TODAY)


GERMAN = """
        Lindenhof Markt GmbH
        Prager Allee 61
        01069 Dresden
        Tel. 0351 555 0142
        UID Nr. DE 287 514 063
                              EUR
VOLLMILCH 3,5% 1L           2,58 B
    2 Stk x      1,29
APFEL BRAEBURN              3,43 B
    1,148 kg x   2,99 EUR/kg
KUCHENTUCHER 4ER            3,25 A
SUMME             EUR       9,26
Geg. BAR          EUR      10,00
Ruckgeld BAR      EUR       0,74
Steuer %   Netto   Steuer  Brutto
A= 19,0%   2,73    0,52    3,25
B= 7,0%    5,62    0,39    6,01
05.09.2025  11:26   Bon-Nr.:1433
"""

MALAYSIAN = """
   OJC MARKETING SDN BHD (1234567-X)
   NO 2 & 4, JALAN BAYU 4,
   81750 MASAI, JOHOR
   GST ID: 001092886528
   TAX INVOICE
Invoice No : PEGIV-1030765
Date : 03/02/2018 11:05:16 AM
Description    Qty   Price   Amount
KINGS SAFETY SHOES   2   96.50   193.00
Total (Excluding GST)      182.08
GST @6%                     10.92
Total (Inclusive of GST)   193.00
Rounding                     0.02
TOTAL                      193.02
CASH                       200.00
CHANGE                       6.98
GST Summary   Amount(RM)   Tax(RM)
SR @ 6%       182.08       10.92
Total :       182.08       10.92
"""

AMERICAN = """
         BLUE HERON DINER
         88 Canal Row
         Brooklyn, NY 11231
         (718) 555-0178
Server: Dana     Table 14
09/04/2026   8:47 PM
1 Chicken & Waffles         18.50
2 Iced Tea                   7.50
Subtotal                    26.00
Sales Tax 8.875%             2.31
TOTAL                      $28.31
Tip                          5.00
VISA   XXXXXXXXXXXX9023     28.31
"""


def test_a_german_receipt() -> None:
    """Decimal commas, day-first dates, counts in separate rows, two tax rates, cash and change are read."""
    receipt = read(GERMAN).receipt
    assert receipt.merchant.name == "Lindenhof Markt GmbH"
    assert receipt.merchant.tax_id == "DE 287 514 063"
    assert (receipt.purchase_date, receipt.purchase_time) == (dt.date(2025, 9, 5), "11:26")
    assert (receipt.total, receipt.currency, receipt.country, receipt.language) == (Decimal("9.26"), "EUR", "DE", "de")
    assert [(item.description, item.quantity, item.unit_price, item.amount) for item in receipt.items] == [
        ("VOLLMILCH 3,5% 1L", Decimal(2), Decimal("1.29"), Decimal("2.58")),
        ("APFEL BRAEBURN", Decimal("1.148"), Decimal("2.99"), Decimal("3.43")),
        ("KUCHENTUCHER 4ER", None, None, Decimal("3.25")),
    ]
    assert [(tax.rate, tax.net, tax.amount) for tax in receipt.taxes] == [
        (Decimal("19.0"), Decimal("2.73"), Decimal("0.52")),
        (Decimal("7.0"), Decimal("5.62"), Decimal("0.39")),
    ]
    assert receipt.payment.method == "cash"
    assert receipt.receipt_number == "1433"


def test_a_malaysian_receipt() -> None:
    """The total is the rounded one, not the exact one, the cash, or the sum of the tax table."""
    receipt = read(MALAYSIAN).receipt
    assert receipt.merchant.name == "OJC MARKETING SDN BHD"
    assert receipt.merchant.address == "NO 2 & 4, JALAN BAYU 4, 81750 MASAI, JOHOR"
    assert receipt.purchase_date == dt.date(2018, 2, 3)
    assert (receipt.total, receipt.subtotal, receipt.currency) == (Decimal("193.02"), Decimal("182.08"), "MYR")
    assert [(item.description, item.quantity, item.unit_price) for item in receipt.items] == [
        ("KINGS SAFETY SHOES", Decimal(2), Decimal("96.50"))
    ]


def test_an_american_receipt() -> None:
    """The address decides for month first, and the card's last four digits and the tip are read."""
    receipt = read(AMERICAN).receipt
    assert receipt.merchant.name == "BLUE HERON DINER"
    assert receipt.purchase_date == dt.date(2026, 9, 4)
    assert (receipt.total, receipt.subtotal, receipt.tip) == (Decimal("28.31"), Decimal("26.00"), Decimal("5.00"))
    assert (receipt.payment.method, receipt.payment.card_last_four) == ("visa", "9023")
    assert [item.quantity for item in receipt.items] == [Decimal(1), Decimal(2)]


@pytest.mark.parametrize("page", ["", "~", "..\n--\n||", "a\nb\nc"])
def test_an_empty_page_gives_an_empty_reading(page: str) -> None:
    """Blank pages and scraps of text give nulls without confidence."""
    reading = read(page)
    assert reading.receipt.model_copy(update={"language": None}) == Receipt()
    assert reading.confidence == {}


def test_text_with_a_low_score_is_ignored() -> None:
    """A line with a low OCR score gives no value."""
    assert read(AMERICAN, score=0.4).receipt == Receipt()


def test_cash_is_not_the_total() -> None:
    """Without a labelled total, cash less change is the total, not the cash."""
    assert read("KIOSK\nTea  1.80\nCash  5.00\nChange  3.20").receipt.total == Decimal("1.80")


def test_a_total_without_arithmetic_has_less_confidence() -> None:
    """A total that arithmetic confirms has more confidence than one with only a weak label."""
    confirmed = read(MALAYSIAN).confidence["total"]
    assert read("KIOSK\nTea  1.80\nAmount  1.80\nSugar  0.20").confidence["total"] < confirmed


def test_a_large_logo_is_preferred_to_the_full_name() -> None:
    """A large word is the brand if the company name below begins with it."""
    page = "toom\nRespekt, wer's selber macht.\ntoom Baumarkt GmbH\n33098 Paderborn\nNagel  1,00\nSUMME EUR  1,00"
    assert read(page, heights={0: 70}).receipt.merchant.name == "toom"
    assert read(page).receipt.merchant.name == "toom Baumarkt GmbH"


def test_a_name_in_two_lines_is_joined() -> None:
    """A legal form or trade on a separate line belongs to the name above."""
    assert (
        read("POPULAR BOOK\nCO. (M) SDN BHD\nBook  5.00\nTotal  5.00").receipt.merchant.name
        == "POPULAR BOOK CO. (M) SDN BHD"
    )
    assert read(
        "AIK HUAT HARDWARE\nENTERPRISE (SETIA\nALAM) SDN BHD\nNail  5.00\nTotal  5.00"
    ).receipt.merchant.name == ("AIK HUAT HARDWARE ENTERPRISE (SETIA ALAM) SDN BHD")
    assert read("ASHDOWN & PIKE\nCHEMISTS\n14 Bridge Street\nSoap  5.00\nTotal  5.00").receipt.merchant.name == (
        "ASHDOWN & PIKE CHEMISTS"
    )


def test_several_pages_are_one_receipt() -> None:
    """A till roll cut in two is read as one receipt."""
    head, sums = AMERICAN.split("Subtotal")
    assert read(head, "Subtotal" + sums).receipt == read(AMERICAN).receipt


def test_pages_with_one_total_each_are_several_receipts() -> None:
    """Of several receipts in one file the first is read, with a confidence that requires a review."""
    reading = read(AMERICAN, GERMAN)
    assert reading.receipt == read(AMERICAN).receipt
    assert reading.confidence["total"] < 0.5


@pytest.mark.parametrize(
    ("page", "day"),
    [
        ("JOE'S\n07/05/12 3:21 PM\n(425)710-0278\nPie  $3.00\nTotal  $3.00", "2012-07-05"),
        ("JOE'S\n07/05/12 3:21 PM\nPie  3.00\nTax  0.30\nTotal  $3.30", "2012-07-05"),
        ("POST\nSYDNEY NSW 2000\n03/04/10 10:57\nStamp  3.00\nTotal  $3.00", "2010-04-03"),
        ("PUB\n05/06/09 21:35\nAle  £3.00\nTotal  £3.00", "2009-06-05"),
        ("KEDAI\nTarikh: 05/06/2018\nTeh  RM 3.00\nTotal  RM 3.00", "2018-06-05"),
        ("SHOP\nToronto, ON\n05/06/2009\nHST  0.39\nTotal  3.39", None),
        ("SHOP\n05/06/2009\nTea  3.00\nTotal  3.00", None),
    ],
)
def test_evidence_of_the_country_orders_the_date(page: str, day: str | None) -> None:
    """Telephone, tax, address or currency decide the order of day and month; without them the date is None."""
    found = read(page).receipt.purchase_date
    assert (found.isoformat() if found else None) == day
