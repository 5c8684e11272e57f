"""The receipt and the reading: the result of reading a picture, in the same form for every endpoint.

Every field may be missing. A missing field is None, never a guess and never zero. Money is a `Decimal` in Python and a
decimal string ("12.34") in JSON, so that no value passes through a binary float.
"""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

MAX_MONEY = Decimal("1e15")
"""A larger number on a receipt is a bar code, not an amount."""

MAX_DIGITS = 30
"""Most digits of a number, and most decimals. DynamoDB stores 38 digits, and nothing smaller than 1e-130
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html)."""

FLOAT_PLACES = 12
"""Decimals of an amount that a binary float represents reliably."""

MAX_ROWS = 5_000
"""Most items or taxes. Twelve metres of paper have 3,000 lines; only a model that loops returns more than this."""

MAX_COUNT = 10**12
"""A larger number is not a count of tokens."""

NAME = "^[A-Za-z0-9_.-]{1,100}$"
"""Pattern of field and unit names in an answer: DynamoDB does not accept empty keys, and people read the names."""

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _decimal(value: Any) -> Any:
    """Return a number or a plain decimal string as Decimal. A float is converted through its shortest text."""
    if value is None or isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    elif isinstance(value, int):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(str(round(value, FLOAT_PLACES)))
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        raise ValueError('expected a decimal string such as "12.34"')
    # Digits are checked first: arithmetic with millions of them is slow or overflows.
    if number is not None and number.is_finite() and _digits(number) > MAX_DIGITS:
        raise ValueError(f"the number has more than {MAX_DIGITS} digits")
    if number is not None and (not number.is_finite() or abs(number) > MAX_MONEY):
        raise ValueError(f"expected a finite number up to {MAX_MONEY}")
    return number


def _digits(number: Decimal) -> int:
    _, digits, exponent = number.as_tuple()
    return max(len(digits), -exponent if isinstance(exponent, int) else 0)


def _written_date(value: Any) -> Any:
    """Return the date. Raise `ValueError` for a number, which pydantic would read as seconds since 1970."""
    if value is None or isinstance(value, dt.date) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("expected a date such as 2026-05-17")


def _null_is(empty: Any) -> BeforeValidator:
    """Return a validator that replaces null by `empty`, this field's value for missing."""
    return BeforeValidator(lambda value: empty if value is None else value)


def _blank_is_missing(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    return value


def _few_enough(value: Any) -> Any:
    """Return the list, or raise `ValueError` if it is too long.

    The limit is not in the schema, because it would slow down a model whose decoding the schema constrains.
    """
    if isinstance(value, list | tuple) and len(value) > MAX_ROWS:
        raise ValueError(f"the list has more than {MAX_ROWS} entries")
    return value


def _plain(value: Decimal) -> str:
    return format(value, "f")


Money = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(_plain, return_type=Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")], when_used="json"),
]
Number = Money
Day = Annotated[dt.date, BeforeValidator(_written_date)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)]
OptionalText = Annotated[Text | None, BeforeValidator(_blank_is_missing)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Time = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$")]


class _Part(BaseModel):
    """A frozen part of a receipt. Unknown fields are ignored, so that a newer model may return more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Merchant(_Part):
    """The seller."""

    name: OptionalText = None
    address: OptionalText = None
    phone: OptionalText = None
    tax_id: OptionalText = None


class Item(_Part):
    """One purchased item; `amount` is the total of its line."""

    description: OptionalText = None
    quantity: Number | None = None
    unit_price: Money | None = None
    amount: Money | None = None
    product_code: OptionalText = None


class Tax(_Part):
    """One tax; `rate` is in percent (19 means 19 %), `net` is the amount that is taxed."""

    description: OptionalText = None
    rate: Number | None = None
    net: Money | None = None
    amount: Money | None = None


class Payment(_Part):
    """The payment; only the last four digits of a card number are kept."""

    method: OptionalText = None
    card_last_four: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")] | None = None


class Receipt(_Part):
    """One receipt, as read from its picture."""

    merchant: Annotated[Merchant, _null_is({})] = Merchant()
    purchase_date: Day | None = None
    purchase_time: Time | None = None
    currency: Currency | None = None
    items: Annotated[tuple[Item, ...], BeforeValidator(_few_enough), _null_is(())] = ()
    subtotal: Money | None = None
    taxes: Annotated[tuple[Tax, ...], BeforeValidator(_few_enough), _null_is(())] = ()
    discount: Money | None = None
    tip: Money | None = None
    total: Money | None = None
    payment: Annotated[Payment, _null_is({})] = Payment()
    receipt_number: OptionalText = None
    country: Country | None = None
    language: Language | None = None


MOST_LEFT_OUT = 10
"""Most fields that a reading lists as left out. They suffice to show people what is wrong."""

Confidence = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Name = Annotated[str, StringConstraints(pattern=NAME)]


class Reading(_Part):
    """A receipt as an endpoint read it, with the model's confidence per field.

    `confidence` is keyed by dotted path ("total", "merchant.name"); fields without a stated confidence are absent.
    `usage` is the cost of the call in the model's own units (tokens, say), as whole numbers. `left_out` has the paths
    of fields that are on the receipt but not in the reading: read incompletely, or answered with an invalid value.
    """

    receipt: Receipt
    confidence: Annotated[dict[Name, Confidence], Field(max_length=500), _null_is({})] = Field(default_factory=dict)
    model_version: OptionalText = None
    usage: Annotated[dict[Name, Count], Field(max_length=50), _null_is({})] = Field(default_factory=dict)
    left_out: tuple[Annotated[str, StringConstraints(max_length=100)], ...] = Field(
        default=(), max_length=MOST_LEFT_OUT
    )
