"""Normalisation: brings the field names and values that chat models write into the receipt's own form."""

import contextlib
import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from worker.extraction.protocols import formats
from worker.extraction.protocols.base import UnusableAnswer
from worker.receipts.currency import SIGNS
from worker.receipts.receipt import Receipt

_DAY_FIRST: Final = re.compile(r"(\d{1,2})[-.](\d{1,2})[-.](\d{4})")
"""Dates with slashes are excluded: they are copied from the receipt, which may write the month first."""
_AMOUNT: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?")
_THOUSANDS: Final = re.compile(r"[^\d.,]*[1-9]\d{0,2}(,\d{3})+(\.\d+)?\D*")
_NOTHING: Final = frozenset({"", "-", "null", "none", "n/a", "unknown", "not available", "00-00-0000"})
_MONEY_FIELDS: Final = ("subtotal", "discount", "tip", "total", "unit_price", "amount", "net")
_LAST_FOUR: Final = re.compile(r"(?:.*\D|\d{9,15})?(\d{4})", re.DOTALL)


def receipt_fields(found: dict[str, Any]) -> dict[str, Any]:
    """Return the receipt's fields from a model's JSON object, with values in the receipt's form where it is clear.

    Raises `UnusableAnswer` if the object is nested too deeply.
    """
    if {"storeName", "purchaseDate"} & found.keys():
        found = {
            "merchant": {"name": found.get("storeName")},
            "purchase_date": found.get("purchaseDate"),
            "total": found.get("total"),
            **{name: value for name, value in found.items() if name in Receipt.model_fields},
        }
    try:
        return {name: _normalised(value, name) for name, value in found.items() if name in Receipt.model_fields}
    except RecursionError as error:
        raise UnusableAnswer("the JSON is nested too deeply") from error


def _normalised(value: Any, name: str = "") -> Any:
    """Return `value` with its dates, amounts and empty values in the receipt's form; ambiguous values stay."""
    if isinstance(value, dict):
        return {key: _normalised(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_normalised(part) for part in value]
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in _NOTHING:
        return None
    return _FORMS[name](text) if name in _FORMS else text


def _iso_date(text: str) -> str:
    """Return a date as ISO 8601. A date with the year last is day-first, as the prompt demands."""
    match = _DAY_FIRST.fullmatch(text)
    if match:
        day, month, year = (int(part) for part in match.groups())
        with contextlib.suppress(ValueError):
            return dt.date(year, month, day).isoformat()
    date = formats.date(text)
    return date.isoformat() if date else text


def _amount(text: str) -> str:
    """Return an amount without its currency sign and blanks; ambiguous separators stay as they are."""
    if _THOUSANDS.fullmatch(text.replace(" ", "")):  # with a decimal point, which the prompt asks for
        return str(formats.amount(text, "."))
    return _number(text)


def _number(text: str) -> str:
    """Return a number without its unit. 1,234 kg stays as it is: it may be weighed to the gram."""
    if _AMOUNT.fullmatch(text):
        return format(Decimal(text), "f")
    number = formats.amount(text, None)
    return text if number is None else format(number, "f")


def _last_four(text: str) -> str:
    """Return the last four digits of a card number, masked or not."""
    match = _LAST_FOUR.fullmatch(text)
    return match[1] if match else text


_FORMS: Final[dict[str, Callable[[str], Any]]] = {
    "purchase_date": _iso_date,
    "merchant": lambda text: {"name": text},
    "payment": lambda text: {"method": text},
    "purchase_time": lambda text: formats.time(text) or text,
    "currency": lambda text: SIGNS.get(text, text.upper()),
    "country": str.upper,
    "language": lambda text: text.lower().split("-")[0],
    "card_last_four": _last_four,
    **dict.fromkeys(_MONEY_FIELDS, _amount),
    "quantity": _number,
    "rate": _number,
}
"""The function that converts each field's text into the receipt's form."""
