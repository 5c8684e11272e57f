"""Fields other than the main ones, read from small parts of a receipt."""

from decimal import Decimal

import pytest

from tests.unit.reader.test_fields import TODAY, read
from worker.receipts.checks import check, decide
from worker.receipts.receipt import Item, Receipt

HEAD = "WARUNG KOPI SENJA\nJl. Melati Raya No. 17\nBandung 40115\n"


def items(page: str) -> list[Item]:
    return list(read(page).receipt.items)


def test_a_tax_without_decimals_is_a_tax() -> None:
    """If money has no decimals, a tax label applies to the amount after the rate."""
    page = "Kopi  48.000\nTeh  50.000\nSubtotal  98.000\nPB1 10%  9.800\nTOTAL  Rp 107.800\nTunai  Rp 110.000\n"
    (tax,) = read(HEAD + page).receipt.taxes
    assert (tax.description, tax.rate, tax.amount) == ("PB1", Decimal(10), Decimal(9800))


def test_a_rate_of_zero_is_a_rate() -> None:
    """A tax-free row in the table of taxes becomes a tax with rate 0."""
    page = "Soap  4.80\nMilk  10.75\nTOTAL  15.55\nVAT  RATE  NET  VAT\nA  20%  4.00  0.80\nZ  0%  10.75  0.00\n"
    taxes = read("CORNER CHEMIST\n" + page).receipt.taxes
    assert [(tax.description, tax.rate, tax.net, tax.amount) for tax in taxes] == [
        ("VAT A", Decimal(20), Decimal("4.00"), Decimal("0.80")),
        ("VAT Z", Decimal(0), Decimal("10.75"), Decimal("0.00")),
    ]


@pytest.mark.parametrize(
    ("row", "description", "quantity", "unit_price"),
    [
        ("WATER 6X1,5        4,14", "WATER 6X1,5", None, None),
        ("WATER 6 X 0,33     4,14", "WATER 6 X 0,33", None, None),
        ("DEPOSIT 6X0,25     1,50", "DEPOSIT", Decimal(6), Decimal("0.25")),
        ("COLA 2 x 0,99      1,98", "COLA", Decimal(2), Decimal("0.99")),
    ],
    ids=["a size", "a size with cents", "a count", "a count with blanks"],
)
def test_a_package_size_is_not_a_quantity(
    row: str, description: str, quantity: Decimal | None, unit_price: Decimal | None
) -> None:
    """Numbers among the words are a quantity only if they multiply to the amount."""
    (item, _) = items(f"Lindenhof Markt GmbH\n{row}\nBREAD     3,49\nSUMME EUR     9,99\n")
    assert (item.description, item.quantity, item.unit_price) == (description, quantity, unit_price)


def test_the_code_before_a_description_is_the_product_code() -> None:
    """A code and words in the row above the numbers become product code and description."""
    page = "Codigo  Descricao\n001042  LIXA FERRO\n  2 UN x  3,20  6,40\n000317  TINTA BRANCA\n  1 UN x  9,00  9,00\n"
    found = items(f"FERRAGENS LTDA\n{page}Valor total R$  15,40\n")
    assert [(one.product_code, one.description, one.quantity) for one in found] == [
        ("001042", "LIXA FERRO", Decimal(2)),
        ("000317", "TINTA BRANCA", Decimal(1)),
    ]


def test_a_total_before_the_discount_is_the_subtotal() -> None:
    """Of two rows labelled total, the one before the discount is the subtotal."""
    page = "LIXA  40,00\nTINTA  60,00\nValor total R$  100,00\nDescontos R$  35,00\nValor a Pagar R$  65,00\n"
    receipt = read(f"FERRAGENS LTDA\n{page}").receipt
    assert (receipt.subtotal, receipt.discount, receipt.total) == (Decimal(100), Decimal(35), Decimal(65))


def head(text: str) -> Receipt:
    return read(f"Blue Heron Diner Ltd\n{text}\nTea  1.80\nCake  3.20\nTOTAL  5.00\n").receipt


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("88 Canal Row\nBrooklyn, NY 11231", "88 Canal Row, Brooklyn, NY 11231"),
        ("Rua das Flores, 452\nVila Mariana, Santos - SP", "Rua das Flores, 452, Vila Mariana, Santos - SP"),
        ("Heineplatz9\n04229 Leipzig", "Heineplatz 9, 04229 Leipzig"),
        ("Table 12\nBrooklyn, NY 11231", "Brooklyn, NY 11231"),
    ],
)
def test_an_address_is_complete(text: str, address: str) -> None:
    """The address includes the street above the town and the state after it, but not the table number."""
    assert head(text).merchant.address == address


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Ticket2026-08-11873", "2026-08-11873"),
        ("NFC-e nº 000.018.342 Série 001", "000.018.342"),
        ("Check #20614", "20614"),
        ("Checkout 12", None),
        ("Ordered 25 items", None),
    ],
)
def test_the_receipt_number_follows_its_label(text: str, number: str | None) -> None:
    """A word for a receipt labels its number, with or without a blank; part of another word does not."""
    assert head(text).receipt_number == number


def test_a_swiss_tax_number_is_complete() -> None:
    """The name of the tax after the number is part of it."""
    assert head("CHE-284.619.507 MWST").merchant.tax_id == "CHE-284.619.507 MWST"


CHARGED = "Don  12.80\nTea  10.00\nSubtotal  22.80\nService Charge (10%)  2.28\nGST 6%  1.50\nTOTAL  26.58\n"


def test_a_charge_below_the_subtotal_is_an_item() -> None:
    """Goods and charge are items, subtotal and taxes stay as printed, and the checks find no contradiction."""
    receipt = read(f"Tokyo Kitchen Sdn Bhd\n{CHARGED}").receipt
    assert [(item.description, item.amount) for item in receipt.items] == [
        ("Don", Decimal("12.80")),
        ("Tea", Decimal("10.00")),
        ("Service Charge (10%)", Decimal("2.28")),
    ]
    assert (receipt.subtotal, receipt.tip) == (Decimal("22.80"), None)
    assert {finding.name for finding in check(receipt, today=TODAY)} == {"date_missing"}


def test_a_charge_that_the_prices_include_is_not_an_item() -> None:
    """If goods and taxes add up to the total without the charge, it is not an item."""
    page = "Don  12.80\nTea  10.00\nService Charge  2.07\nTOTAL  22.80\n"
    assert [item.description for item in items(f"Tokyo Kitchen Sdn Bhd\n{page}")] == ["Don", "Tea"]


def test_a_tax_with_any_name_is_recognised_by_its_rate() -> None:
    """A rate and its share of the subtotal, below the subtotal, are a tax with any name."""
    page = "Buffet  300.00\nSub Total  300.00\nST 6%  18.00\nTOTAL  318.00\n"
    (tax,) = read(f"Thali House Pvt Ltd\n{page}").receipt.taxes
    assert (tax.description, tax.rate, tax.amount) == ("ST", Decimal(6), Decimal("18.00"))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("MO.-SA. 9.00 Uhr - 20.00 Uhr\nSEKT  0,89\nTEE  0,59", ["SEKT", "TEE"]),
        ("9 Elm Tbl 2/1 02:34PM\n1 SEKT  0,89\nTEE  0,59", ["SEKT", "TEE"]),
        ("BANANEN LOSE   C\nkg   EUR/kg   EUR\n0,158   1,19   0,19\nTEE  0,59", ["BANANEN LOSE", "TEE"]),
        ("SHIRT  9,20\nListPrice 46,00 YouSave  36,80\nTEE  0,59", ["SHIRT", "TEE"]),
    ],
    ids=["opening hours", "a time", "columns of what is weighed", "what was saved"],
)
def test_other_rows_among_the_items_are_skipped(rows: str, expected: list[str]) -> None:
    """Times, table numbers, units and savings are neither items nor parts of a description."""
    found = items(f"Lindenhof Markt GmbH\n{rows}\nSUMME EUR     99,99\n")
    assert [item.description for item in found] == expected


def test_department_sums_are_not_items() -> None:
    """The items end where they add up to the total minus tax."""
    page = "Crab  21.95\nBeer  2.50\nfood  21.95\nliquor  2.50\nTax  2.45\nTotal Due  26.90\n"
    assert [item.description for item in items(f"Fish House Inc\n{page}")] == ["Crab", "Beer"]


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ("TOTAL  23.57\nTip  3.55\nAMOUNT PAID  27.12", "27.12"),
        ("Balance Due  23.57\nVISA  23.57\n+ TIP  3.55\n= TOTAL  27.12", "27.12"),
        ("TOTAL  23.57\nTip  3.55\nVISA  23.57", "23.57"),
        ("Total  23.57\nSuggested tip 18%: 4.04  20%: 4.49\nVISA  23.57", "23.57"),
    ],
    ids=["paid with a tip", "the slip's total", "a tip that was not charged", "a suggestion"],
)
def test_the_total_includes_the_tip(rows: str, total: str) -> None:
    """The amount due plus the tip is the total; a tip that does not add up is ignored."""
    page = f"Pho Saigon Inc\nPho Tai  14.50\nSpring Rolls  7.95\nSubtotal  22.45\nGST  1.12\n{rows}\n"
    assert read(page).receipt.total == Decimal(total)


def test_a_mark_at_the_row_s_end_is_not_a_count() -> None:
    """An X after a price is a tax mark."""
    assert [item.amount for item in items("Fish House Inc\nSHIRT  25.00 X\nSOAP  12.97 X\nTOTAL  37.97\n")] == [
        Decimal("25.00"),
        Decimal("12.97"),
    ]


@pytest.mark.parametrize("street", ["Shop 3, 22 George St", "ul. Dluga 5, 00-238 Warszawa"])
def test_street_numbers_are_not_prices(street: str) -> None:
    """Two numbers with a comma and a blank between them are not an amount if words follow."""
    page = f"Harbour Bean Ltd\n{street}\nTea  1.80\nCake  3.20\nTOTAL  5.00\n"
    assert [item.description for item in items(page)] == ["Tea", "Cake"]


def test_the_number_of_a_dish_is_not_a_quantity() -> None:
    """A number such as #21 belongs to the name of the dish."""
    assert [item.quantity for item in items("Pho House Inc\n#21 Pho  14.50\n2 Tea  3.00\nTotal  17.50\n")] == [None, 2]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("MWST 3.8% 440.00  16.11\n", [("MWST", Decimal("16.11"))]),
        ("PTU A 5%  22.00\nSUMA PTU  22.00\n", [("PTU A", Decimal("22.00"))]),
        ("Includes GST of  42.55\n", [("GST", Decimal("42.55"))]),
        ("CGST 2.5%  10.00\nSGST 2.5%  10.00\n", [("CGST", Decimal("10.00")), ("SGST", Decimal("10.00"))]),
    ],
    ids=["within an amount", "the sum of one", "words that join", "halves of one"],
)
def test_a_tax_has_its_own_amount_and_name(rows: str, expected: list[tuple[str, Decimal]]) -> None:
    """Neither the net amount nor the sum of all taxes is a tax."""
    taxes = read(f"Hotel Bellavista AG\nZimmer  468.00\nTotal  468.00\n{rows}").receipt.taxes
    assert [(tax.description, tax.amount) for tax in taxes] == expected


def test_the_day_of_arrival_is_not_the_purchase_date() -> None:
    """Of the dates of a stay, the one labelled as the receipt's is the purchase date."""
    page = "Ankunft 20.07.2023  Abreise 22.07.2023\nZimmer  468.00\nTotal EUR  468.00\nDatum 22.07.2023\n"
    assert str(read(f"Hotel Bellavista GmbH\n{page}").receipt.purchase_date) == "2023-07-22"


def test_a_balance_below_the_cash_is_the_change() -> None:
    """A balance below the cash is change, as in South Asia, and cash less change is the total."""
    page = "KOTTU  1,025.00\nBill Total  1,127.50\nBag  20.00\nNet Total  1,147.50\nCash  1,200.00\nBalance  52.50\n"
    assert read(f"Curry House Ltd\nColombo 3\n{page}").receipt.total == Decimal("1147.50")


@pytest.mark.parametrize(
    ("place", "language"), [("8000 Aarhus C\nCVR 12345678", "da"), ("Stockholm\nOrg.nr 556012-3456", "sv")]
)
def test_the_country_decides_between_languages_with_shared_words(place: str, language: str) -> None:
    """The country decides whether "moms" is Danish or Swedish."""
    page = f"Byens Bageri\n{place}\nKaffe  14,00\nBolle  8,00\nSubtotal  22,00\nMoms  4,40\nKort  22,00\n"
    assert read(page).receipt.language == language


def test_unit_prices_and_zero_discounts_are_not_items() -> None:
    """A price per gallon and a discount of zero are not items."""
    page = "Tea  45.02\nPRICE/GAL  $3.398\nDisc  0.00\nTOTAL  $45.02\n"
    assert [item.description for item in items(f"Quick Fuel Inc\n{page}")] == ["Tea"]


REFUND = "BOOT  -54.99\nSUBTOTAL  -54.99\nTOTAL  -54.99\nREFUND VISA  -54.99\n"


def test_a_refund_has_a_negative_total() -> None:
    """A refund is read with its sign, and needs a review."""
    reading = read(f"Outdoor World Inc\n{REFUND}")
    assert (reading.receipt.total, reading.receipt.subtotal) == (Decimal("-54.99"), Decimal("-54.99"))
    findings = check(reading.receipt, today=TODAY)
    assert {finding.name for finding in findings} == {"date_missing", "total_negative"}
    assert decide(reading, findings) == "needs_review"


def test_a_minus_among_positive_amounts_is_not_a_refund() -> None:
    """If there are positive amounts, a minus before the total may be a dash, so the receipt needs a review."""
    reading = read("KIOSK\nTea  1.80\nCake  2.00\nTotal - 3.80\nCash 5.00\nChange 1.20")
    assert (reading.receipt.total or 0) >= 0
    assert decide(reading, check(reading.receipt, today=TODAY)) == "needs_review"


def test_weighed_goods_have_their_description_above() -> None:
    """Weight, unit price and amount in one row belong to the description in the row above."""
    page = "KALE  2.99\nBULK OATS\n1.22 lb @ 1.89/lb  2.31\nTOTAL  5.30\n"
    (_, oats) = items(f"Green Basket Inc\n{page}")
    assert (oats.description, oats.quantity, oats.unit_price, oats.amount) == (
        "BULK OATS",
        Decimal("1.22"),
        Decimal("1.89"),
        Decimal("2.31"),
    )


def test_a_house_number_after_a_point_is_not_a_price() -> None:
    """No.12 is a house number; RM.80 is an amount."""
    page = "No.12, Jalan Bayu 4\n81750 Masai, Johor\nTea  RM.80\nCake  RM3.20\nTOTAL  RM4.00\n"
    found = items(f"Daun Pandan Sdn Bhd\n{page}")
    assert [(item.description, item.amount) for item in found] == [("Tea", Decimal("0.80")), ("Cake", Decimal("3.20"))]


@pytest.mark.parametrize(
    ("rows", "method"),
    [
        ("GIFT CARD  20.00\nTOTAL  20.00\nCASH  20.00\nCHANGE  0.00", "cash"),
        ("TEA  20.00\nTOTAL  20.00\nGIFT CARD  20.00", "gift card"),
        ("TEA  20.00\nTotal  20.00\nPaid by Apple Pay  20.00", "apple pay"),
    ],
)
def test_goods_are_not_a_payment_method(rows: str, method: str) -> None:
    """The payment method is read at the total or below it."""
    assert read(f"Value Store Inc\n{rows}\n").receipt.payment.method == method


def test_numbers_in_the_head_and_below_the_sums_are_not_items() -> None:
    """The firm's capital, postcodes, member numbers, payments and the price per litre are not items."""
    page = (
        "CAFE ZINC\nSARL ZINC au capital de 8000 EUR\nMember No  60128837.21\nLondon W1D 3RS\nInvoice: A12\n"
        "2 Menu   31,00\n1 Cafe   1,80\nTotal   32,80\nVisa   32,80\n"
    )
    assert [item.amount for item in read(page).receipt.items] == [Decimal(31), Decimal("1.80")]
    assert not read("FUEL STOP\nPRICE/G:  2.199\nFUEL SALE  21.71\nCREDIT  21.71\n").receipt.items
