"""The protocol `textract`: pictures in, the JSON of Amazon Textract's AnalyzeExpense out.

It makes Textract comparable: an endpoint that answers in this format (a proxy before Textract, say) fills the same
table. Textract returns printed text, so numbers and dates are parsed here; ambiguous ones stay null
(docs.aws.amazon.com/textract/latest/dg/expensedocuments.html).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from worker.extraction.protocols import formats, salvage
from worker.extraction.protocols.base import UnusableAnswer
from worker.extraction.protocols.image import ImageProtocol
from worker.receipts.receipt import Reading

_TEXTS: Final = {
    "merchant.name": ("VENDOR_NAME", "NAME"),
    "merchant.address": ("VENDOR_ADDRESS", "ADDRESS"),
    "merchant.phone": ("VENDOR_PHONE",),
    "merchant.tax_id": (
        "VENDOR_VAT_NUMBER",
        "VENDOR_GST_NUMBER",
        "VENDOR_ABN_NUMBER",
        "VENDOR_PAN_NUMBER",
        "TAX_PAYER_ID",
    ),
    "receipt_number": ("INVOICE_RECEIPT_ID",),
}
_AMOUNTS: Final = {
    "total": ("TOTAL", "AMOUNT_PAID"),
    "subtotal": ("SUBTOTAL",),
    "discount": ("DISCOUNT",),
    "tip": ("GRATUITY",),
}
_CHARGES: Final = ("SERVICE_CHARGE", "SHIPPING_HANDLING_CHARGE")
"""Charges on top of the goods. Each becomes an item after them."""
_DATES: Final = ("INVOICE_RECEIPT_DATE", "ORDER_DATE")
_MONEY_TYPES: Final = frozenset(
    {*(kind for kinds in _AMOUNTS.values() for kind in kinds), *_CHARGES, "TAX", "PRICE", "UNIT_PRICE"}
)
_RATE: Final = re.compile(r"(\d{1,2}(?:[.,]\d{1,3})?)\s*%")


@dataclass(frozen=True)
class _Field:
    kind: str
    text: str
    label: str | None
    confidence: float
    currency: str | None
    receiver: bool
    """True if it is about the customer: the same types hold names and addresses of both sides."""


class TextractProtocol(ImageProtocol):
    """The `textract` protocol: sends image bytes, reads AnalyzeExpense JSON."""

    name = "textract"
    version = "1"

    def read(self, answer: bytes) -> Reading:
        """Return the reading in `answer`, or raise `UnusableAnswer`.

        If the picture shows several receipts, the first is read, with low confidence.
        """
        document, *others = _documents(answer)
        summary = list(_fields(document.get("SummaryFields")))
        rows = [list(_fields(row)) for row in _rows(document)]
        separator = formats.decimal_separator(
            field.text for fields in (summary, *rows) for field in fields if field.kind in _MONEY_TYPES
        )
        receipt, confidence = _summary(summary, separator)
        items = [item for row in rows if (item := _item(row, separator))]
        charges = [charge for field in summary if field.kind in _CHARGES and (charge := _charge(field, separator))]
        listed = {(item["description"], item["amount"]) for item in items}
        receipt["items"] = [
            *items,
            *(charge for charge in charges if (charge["description"], charge["amount"]) not in listed),
        ]
        if len({_total(one) for one in (document, *others)} - {None}) > 1:
            confidence["total"] = min(confidence.get("total", 1.0), salvage.OF_SEVERAL)
        return salvage.reading({"receipt": receipt, "confidence": confidence})


def _documents(answer: bytes) -> list[dict[str, Any]]:
    documents = salvage.from_json(answer).get("ExpenseDocuments")
    if not isinstance(documents, list) or not documents or not isinstance(documents[0], dict):
        raise UnusableAnswer("the answer has no ExpenseDocuments")
    return list(_objects(documents))


def _total(document: dict[str, Any]) -> str | None:
    """Return the total as the document prints it."""
    found = _best(list(_fields(document.get("SummaryFields"))), *_AMOUNTS["total"])
    return found.text if found else None


def _rows(document: dict[str, Any]) -> Iterator[Any]:
    for group in _objects(document.get("LineItemGroups")):
        for row in _objects(group.get("LineItems")):
            yield row.get("LineItemExpenseFields")


def _fields(found: Any) -> Iterator[_Field]:
    for entry in _objects(found):
        kind, value = _object(entry.get("Type")), _object(entry.get("ValueDetection"))
        text = _text(value.get("Text"))
        if text and isinstance(kind.get("Text"), str):
            yield _Field(
                kind=kind["Text"],
                text=text,
                label=_text(_object(entry.get("LabelDetection")).get("Text")),
                confidence=min(_share(kind.get("Confidence")), _share(value.get("Confidence"))),
                currency=_text(_object(entry.get("Currency")).get("Code")),
                receiver=_of_receiver(entry.get("GroupProperties")),
            )


def _of_receiver(groups: Any) -> bool:
    """Return whether a field belongs to groups such as RECEIVER_BILL_TO, and to none of the vendor's."""
    kinds = [kind for group in _objects(groups) for kind in _list(group.get("Types")) if isinstance(kind, str)]
    return bool(kinds) and all(kind.startswith("RECEIVER") for kind in kinds)


def _summary(fields: list[_Field], separator: formats.Separator | None) -> tuple[dict[str, Any], dict[str, float]]:
    receipt: dict[str, Any] = {"merchant": {}}
    confidence: dict[str, float] = {}

    def put(path: str, value: Any, field: _Field) -> None:
        part, _, name = path.rpartition(".")
        (receipt[part] if part else receipt)[name] = value
        confidence[path] = field.confidence

    for path, kinds in _TEXTS.items():
        if field := _best([field for field in fields if not field.receiver], *kinds):
            put(path, " ".join(field.text.split())[:2_000], field)
    for path, kinds in _AMOUNTS.items():
        field = _best(fields, *kinds)
        if field and (value := _money(field, separator)) is not None:
            put(path, abs(value) if path == "discount" else value, field)
    if field := _best(fields, *_DATES):
        put("purchase_date", formats.date(field.text), field)
        put("purchase_time", formats.time(field.text), field)
    receipt["taxes"] = [tax for field in fields if field.kind == "TAX" and (tax := _tax(field, separator))]
    currencies = [field for field in fields if re.fullmatch("[A-Z]{3}", field.currency or "")]
    if field := _best(currencies, "TOTAL") or next(iter(currencies), None):
        receipt["currency"] = field.currency
    return receipt, {path: share for path, share in confidence.items() if _has(receipt, path)}


def _has(receipt: dict[str, Any], path: str) -> bool:
    part, _, name = path.rpartition(".")
    return (receipt[part] if part else receipt).get(name) is not None


def _best(fields: list[_Field], *kinds: str) -> _Field | None:
    """Return the field with the highest confidence of the first of `kinds` that is present."""
    for kind in kinds:
        if found := [field for field in fields if field.kind == kind]:
            return max(found, key=lambda field: field.confidence)
    return None


def _tax(field: _Field, separator: formats.Separator | None) -> dict[str, Any] | None:
    value = _money(field, separator)
    rate = _RATE.search(field.label or "") or _RATE.search(field.text)
    if value is None and not rate:
        return None
    return {
        "description": field.label,
        "rate": Decimal(rate[1].replace(",", ".")) if rate else None,
        "amount": value,
    }


def _charge(field: _Field, separator: formats.Separator | None) -> dict[str, Any] | None:
    value = _money(field, separator)
    return None if value is None else {"description": field.label, "amount": value}


def _money(field: _Field, separator: formats.Separator | None) -> Decimal | None:
    """Return the field's amount. A rate, which Textract returns under the same type, is not one."""
    return None if "%" in field.text else formats.amount(field.text, separator)


def _item(row: list[_Field], separator: formats.Separator | None) -> dict[str, Any] | None:
    texts = {field.kind: field.text for field in row}
    item = {
        "description": " ".join(texts.get("ITEM", "").split())[:2_000] or None,
        "product_code": texts.get("PRODUCT_CODE"),
        "quantity": formats.amount(texts.get("QUANTITY", ""), separator),
        "unit_price": formats.amount(texts.get("UNIT_PRICE", ""), separator),
        "amount": formats.amount(texts.get("PRICE", ""), separator),
    }
    return item if any(value is not None for value in item.values()) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    yield from (part for part in _list(value) if isinstance(part, dict))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _share(value: Any) -> float:
    """Return Textract's confidence (0 to 100) as a share, 1 if it is missing."""
    return max(0, min(100, value)) / 100 if isinstance(value, int | float) else 1.0
