"""The receipt: what a model reads from a picture, whichever endpoint answered.

Everything but the fact that it is a receipt may be missing: missing is None, never guessed, never zero. Money is a
`Decimal` in Python and a decimal string ("12.34") in JSON, so that no value passes through a binary float.
"""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

MAX_MONEY = Decimal("1e15")
"""Above this a number on a receipt is a bar code, not an amount."""

MAX_DIGITS = 30
"""Digits of a number, and places after its point. DynamoDB keeps 38, and nothing smaller than 1e-130
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html)."""

FLOAT_PLACES = 12
"""A binary float says no more of an amount after the point."""

MAX_ROWS = 5_000
"""Twelve metres of paper have 3,000 lines; a model that says the same again and again has more."""

MAX_COUNT = 10**12
"""A count of tokens above this is none."""

NAME = "^[A-Za-z0-9_.-]{1,100}$"
"""What a field or a unit is called in an answer: the table takes no empty key, and a person reads it."""

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _decimal(value: Any) -> Any:
    """Take a number or a plain decimal string as Decimal; a float goes through its shortest text, never its bits."""
    if value is None or isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool):
        raise ValueError("a truth value is no number")
    elif isinstance(value, int):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(str(round(value, FLOAT_PLACES)))
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        raise ValueError('a decimal string such as "12.34" is needed')
    # Digits come first: arithmetic with millions of them is slow, or overflows.
    if number is not None and number.is_finite() and _digits(number) > MAX_DIGITS:
        raise ValueError(f"at most {MAX_DIGITS} digits are kept")
    if number is not None and (not number.is_finite() or abs(number) > MAX_MONEY):
        raise ValueError(f"a finite number up to {MAX_MONEY} is needed")
    return number


def _digits(number: Decimal) -> int:
    _, digits, exponent = number.as_tuple()
    return max(len(digits), -exponent if isinstance(exponent, int) else 0)


def _written_date(value: Any) -> Any:
    """Refuse a number as a date: it would be taken for seconds since 1970."""
    if value is None or isinstance(value, dt.date) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("a date such as 2026-05-17 is needed")


def _null_is(empty: Any) -> BeforeValidator:
    """Take null for what is missing as `empty`, which is how this field says the same."""
    return BeforeValidator(lambda value: empty if value is None else value)


def _blank_is_missing(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    return value


def _few_enough(value: Any) -> Any:
    """Refuse a list that no receipt has: a schema with a limit in it would slow down a model that is held to it."""
    if isinstance(value, list | tuple) and len(value) > MAX_ROWS:
        raise ValueError(f"at most {MAX_ROWS} are kept")
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
    """A frozen piece of a receipt; names that it does not know are ignored, so that a newer model can say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Merchant(_Part):
    """Who sold."""

    name: OptionalText = None
    address: OptionalText = None
    phone: OptionalText = None
    tax_id: OptionalText = None


class Item(_Part):
    """One line of what was bought; `amount` is the line's total."""

    description: OptionalText = None
    quantity: Number | None = None
    unit_price: Money | None = None
    amount: Money | None = None
    product_code: OptionalText = None


class Tax(_Part):
    """One tax; `rate` in per cent (19 means 19 %), `net` the amount it is taken on."""

    description: OptionalText = None
    rate: Number | None = None
    net: Money | None = None
    amount: Money | None = None


class Payment(_Part):
    """How it was paid; of a card number only the last four digits are ever kept."""

    method: OptionalText = None
    card_last_four: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")] | None = None


class Receipt(_Part):
    """One receipt as read from its picture."""

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
"""Fields that a reading names as left out: enough for a person to see what is wrong."""

Confidence = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Name = Annotated[str, StringConstraints(pattern=NAME)]


class Reading(_Part):
    """What an endpoint answered: the receipt, and how sure the model is of single fields.

    `confidence` is keyed by dotted path ("total", "merchant.name"); what the model says nothing about is absent.
    `usage` holds what the call cost in the model's own units (tokens, say), as whole numbers. `left_out` names, by
    path, fields that are missing though they stand on the receipt: not read whole, or given as what none can hold.
    """

    receipt: Receipt
    confidence: Annotated[dict[Name, Confidence], Field(max_length=500), _null_is({})] = Field(default_factory=dict)
    model_version: OptionalText = None
    usage: Annotated[dict[Name, Count], Field(max_length=50), _null_is({})] = Field(default_factory=dict)
    left_out: tuple[Annotated[str, StringConstraints(max_length=100)], ...] = Field(
        default=(), max_length=MOST_LEFT_OUT
    )
