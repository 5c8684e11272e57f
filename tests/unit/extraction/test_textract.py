"""Answers in the format of Amazon Textract's AnalyzeExpense."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extraction import protocols
from worker.extraction.pages import Page, Prepared
from worker.extraction.protocols import TextractProtocol, UnusableAnswer, formats
from worker.receipts.receipt import Merchant, Reading, Tax
from worker.settings import Settings


def field(kind: str, text: str, *, label: str | None = None, currency: str | None = None, sure: float = 99.5) -> Any:
    """Return one field as in the API reference: Type, LabelDetection, ValueDetection, Currency, geometry."""
    box = {"BoundingBox": {"Width": 0.1, "Height": 0.02, "Left": 0.3, "Top": 0.1}, "Polygon": [{"X": 0.3, "Y": 0.1}]}
    whole: dict[str, Any] = {
        "Type": {"Text": kind, "Confidence": 98.0},
        "ValueDetection": {"Text": text, "Geometry": box, "Confidence": sure},
        "PageNumber": 1,
    }
    if label:
        whole["LabelDetection"] = {"Text": label, "Geometry": box, "Confidence": 90.1}
    if currency:
        whole["Currency"] = {"Code": currency, "Confidence": 91.0}
    return whole


def answer(*summary: Any, rows: tuple[tuple[Any, ...], ...] = ()) -> bytes:
    lines = [{"LineItemExpenseFields": list(row)} for row in rows]
    document = {
        "ExpenseIndex": 1,
        "SummaryFields": list(summary),
        "LineItemGroups": [{"LineItemGroupIndex": 1, "LineItems": lines}],
        "Blocks": [{"BlockType": "PAGE", "Id": "1"}],
    }
    return json.dumps({"DocumentMetadata": {"Pages": 1}, "ExpenseDocuments": [document]}).encode()


def test_a_complete_answer_is_read() -> None:
    """Every field of AnalyzeExpense that a receipt has is read, with Textract's confidence as a share."""
    body = answer(
        field("VENDOR_NAME", "Corner\nShop"),
        field("VENDOR_ADDRESS", "1 High St\nLondon"),
        field("VENDOR_VAT_NUMBER", "GB 123"),
        field("INVOICE_RECEIPT_DATE", "26/10/2023 2:33 PM", label="Date"),
        field("INVOICE_RECEIPT_ID", "0042"),
        field("SUBTOTAL", "1,050.00", currency="GBP"),
        field("TAX", "£210.00", label="VAT 20%", currency="GBP"),
        field("DISCOUNT", "-5.00"),
        field("TOTAL", "£1,255.00", label="Total", currency="GBP", sure=80.0),
        field("OTHER", "12345", label="Till"),
        rows=(
            (field("ITEM", "Tea"), field("QUANTITY", "2"), field("UNIT_PRICE", "25.00"), field("PRICE", "50.00")),
            (field("ITEM", "Chair"), field("PRICE", "1,000.00"), field("EXPENSE_ROW", "Chair 1,000.00")),
        ),
    )
    reading = TextractProtocol().read(body)
    receipt = reading.receipt
    assert (receipt.merchant.name, receipt.merchant.address) == ("Corner Shop", "1 High St London")
    assert (receipt.merchant.tax_id, receipt.receipt_number) == ("GB 123", "0042")
    assert (receipt.purchase_date, receipt.purchase_time) == (dt.date(2023, 10, 26), "14:33")
    assert (receipt.subtotal, receipt.discount, receipt.total) == (Decimal(1050), Decimal(5), Decimal(1255))
    assert receipt.currency == "GBP"
    assert [(tax.description, tax.rate, tax.amount) for tax in receipt.taxes] == [
        ("VAT 20%", Decimal(20), Decimal(210))
    ]
    assert [(item.description, item.quantity, item.amount) for item in receipt.items] == [
        ("Tea", Decimal(2), Decimal(50)),
        ("Chair", None, Decimal(1000)),
    ]
    assert reading.confidence["total"] == pytest.approx(0.80)
    assert reading.confidence["merchant.name"] == pytest.approx(0.98)


def test_missing_fields_are_null() -> None:
    """An answer without fields gives an empty receipt."""
    reading = TextractProtocol().read(answer())
    assert reading.receipt.total is None
    assert reading.confidence == {}


def test_the_total_with_the_highest_confidence_is_used() -> None:
    """If Textract returns several fields of one type, the one with the highest confidence is read."""
    body = answer(field("TOTAL", "$9.00", sure=50), field("TOTAL", "$19.00", sure=97))
    assert TextractProtocol().read(body).receipt.total == 19


def test_an_ambiguous_date_has_no_confidence() -> None:
    """A date that stays null has no confidence."""
    reading = TextractProtocol().read(answer(field("INVOICE_RECEIPT_DATE", "05/04/2023")))
    assert reading.receipt.purchase_date is None
    assert "purchase_date" not in reading.confidence


def test_a_charge_in_the_summary_is_an_item_after_the_goods() -> None:
    """Service and delivery charges become items, once even if Textract lists them as items too."""
    goods = (field("ITEM", "Don"), field("PRICE", "12.80"))
    bag = (field("ITEM", "Bag fee"), field("PRICE", "0.10"))
    service = field("SERVICE_CHARGE", "1.28", label="Service 10%")
    again = field("SHIPPING_HANDLING_CHARGE", "0.10", label="Bag fee")
    body = answer(field("TOTAL", "14.18"), service, again, rows=(goods, bag))
    items = TextractProtocol().read(body).receipt.items
    assert [(item.description, str(item.amount)) for item in items] == [
        ("Don", "12.80"),
        ("Bag fee", "0.10"),
        ("Service 10%", "1.28"),
    ]


def test_the_customer_is_not_the_merchant() -> None:
    """NAME and ADDRESS fields in a receiver's group are not used for the merchant."""

    def of(group: str, one: dict[str, Any]) -> dict[str, Any]:
        return one | {"GroupProperties": [{"Types": [group], "Id": "1"}]}

    customer = of("RECEIVER_BILL_TO", field("NAME", "John Doe")), of("RECEIVER_BILL_TO", field("ADDRESS", "His house"))
    vendor = of("VENDOR_SUPPLIER", field("NAME", "Corner Shop", sure=80))
    assert TextractProtocol().read(answer(*customer, vendor)).receipt.merchant == Merchant(name="Corner Shop")


def test_a_rate_is_not_an_amount() -> None:
    """A tax or discount that Textract returns in per cent is not read as an amount."""
    body = answer(field("TOTAL", "11.90"), field("TAX", "19%", label="VAT"), field("DISCOUNT", "10 %"))
    receipt = TextractProtocol().read(body).receipt
    assert receipt.taxes == (Tax(description="VAT", rate=Decimal(19)),)
    assert receipt.discount is None


@pytest.mark.parametrize("sure", [10**400, float("nan"), float("inf")])
def test_an_invalid_confidence_is_ignored(sure: Any) -> None:
    """The confidence of the field's type is used instead."""
    assert TextractProtocol().read(answer(field("TOTAL", "1.00", sure=sure))).confidence == {"total": 0.98}


@pytest.mark.parametrize(("second", "sure"), [("4.50", 0.4), ("3.50", 0.98)])
def test_the_first_of_several_receipts_has_low_confidence(second: str, sure: float) -> None:
    """Two documents with different totals are two receipts; with the same total they are pages of one."""
    whole = json.loads(answer(field("TOTAL", "3.50")))
    whole["ExpenseDocuments"] += json.loads(answer(field("TOTAL", second)))["ExpenseDocuments"]
    reading = TextractProtocol().read(json.dumps(whole).encode())
    assert reading.receipt.total == Decimal("3.50")
    assert reading.confidence["total"] == sure


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"ExpenseDocuments": []}', b'{"ExpenseDocuments": [1]}', b"\xff"]
)
def test_another_format_is_unusable(body: bytes) -> None:
    """An answer that is not AnalyzeExpense JSON raises `UnusableAnswer`."""
    with pytest.raises(UnusableAnswer):
        TextractProtocol().read(body)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["TOTAL", "TAX", "INVOICE_RECEIPT_DATE", "VENDOR_NAME", "PRICE", "ITEM", "QUANTITY"])
odd_fields = st.builds(field, kinds, st.text(max_size=30), label=st.none() | st.text(max_size=9)) | json_values


@given(st.lists(odd_fields, max_size=5), st.lists(st.lists(odd_fields, max_size=3), max_size=3))
def test_any_answer_is_a_reading_or_unusable(summary: list[Any], rows: list[list[Any]]) -> None:
    """Any fields give a reading or `UnusableAnswer` with a reason."""
    try:
        reading = TextractProtocol().read(answer(*summary, rows=tuple(tuple(row) for row in rows)))
    except UnusableAnswer:
        return
    assert isinstance(reading, Reading)


def test_the_setting_chooses_the_protocol() -> None:
    """Each value of the setting gives the protocol of that name."""
    for name in ("image", "chat", "textract"):
        assert protocols.make(Settings(protocol=name)).name == name


def test_pages_are_sent_as_in_the_image_protocol() -> None:
    """One page is sent as its bytes, with its own content type."""
    page = Page(b"jpeg", "image/jpeg", 20, 20)
    request = TextractProtocol().request(Prepared((page,), "image/jpeg", 1))
    assert (request.body, request.content_type) == (b"jpeg", "image/jpeg")


@pytest.mark.parametrize(
    ("text", "separator", "expected"),
    [
        ("$9.30", None, "9.30"),
        ("12,50 EUR", None, "12.50"),
        ("1,234.56", None, "1234.56"),
        ("1.234,56", None, "1234.56"),
        ("1 234,56", None, "1234.56"),
        ("1'234.50", None, "1234.50"),
        ("1.234.567", None, "1234567"),
        ("1,234", ".", "1234"),
        ("1,234", ",", "1.234"),
        ("1,234", None, None),
        ("-3.00", None, "-3.00"),
        ("3.00-", None, "-3.00"),
        ("(3.00)", None, "-3.00"),
        ("Rp 45000", None, "45000"),
        ("2 @ 3.00", None, None),
        ("$.50", None, "0.50"),
        ("Rs.50", None, "50"),
        ("0,410 kg", None, "0.410"),
        ("free", None, None),
        ("", None, None),
    ],
)
def test_amounts_as_printed(text: str, separator: formats.Separator | None, expected: str | None) -> None:
    """Decimal points and commas are read, and an ambiguous number is None."""
    assert formats.amount(text, separator) == (Decimal(expected) if expected else None)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["9.30", "1,234"], "."),
        (["9,30", "1.234"], ","),
        (["1,234"], None),
        (["9.30", "9,30"], None),
        (["1.234.567"], ","),
        ([], None),
    ],
)
def test_the_amounts_must_agree_on_the_separator(texts: list[str], expected: str | None) -> None:
    """Only unambiguous amounts that agree determine the decimal separator."""
    assert formats.decimal_separator(texts) == expected


money = st.decimals(min_value=0, max_value=10**9, places=2)


@given(money, st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", ".")]))
def test_an_amount_with_cents_is_always_read(value: Decimal, signs: tuple[str, str]) -> None:
    """An amount with two decimals is read in any common format."""
    text = f"{value:,.2f}".replace(",", "T").replace(".", signs[1]).replace("T", signs[0])
    assert formats.amount(f"€ {text}", None) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-10-26", (2023, 10, 26)),
        ("26.10.2023", (2023, 10, 26)),
        ("10/26/23", (2023, 10, 26)),
        ("05/05/2023", (2023, 5, 5)),
        ("05/04/2023", None),
        ("Oct 26, 2023", (2023, 10, 26)),
        ("26 October 2023", (2023, 10, 26)),
        ("1st May '23", (2023, 5, 1)),
        ("26-OCT-23", (2023, 10, 26)),
        ("31/02/2023", None),
        ("Date: 13:45", None),
        ("0000-00-00", None),
    ],
)
def test_dates_as_printed(text: str, expected: tuple[int, int, int] | None) -> None:
    """A date is read only if it is unambiguous."""
    assert formats.date(text) == (dt.date(*expected) if expected else None)


@given(st.dates(min_value=dt.date(2000, 1, 1), max_value=dt.date(2099, 12, 31)))
def test_a_date_is_never_misread(date: dt.date) -> None:
    """In any order of day and month, the result is the written date or None."""
    assert formats.date(f"{date:%d/%m/%Y}") in {date, None}
    assert formats.date(f"{date:%m/%d/%y}") in {date, None}
    assert formats.date(f"{date:%Y-%m-%d}") == date


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2:33 PM", "14:33"),
        ("12:05 a.m.", "00:05"),
        ("14:33:07", "14:33:07"),
        ("25:00", None),
        ("13:00 PM", None),
        ("none", None),
    ],
)
def test_times_as_printed(text: str, expected: str | None) -> None:
    """Times are read on the 12-hour and 24-hour clock, and invalid times are None."""
    assert formats.time(text) == expected
