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
"""DynamoDB keeps 38 (docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html)."""

MAX_ROWS = 5_000
"""Twelve metres of paper have 3,000 lines; a model that says the same again and again has more."""

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


def _decimal(value: Any) -> Any:
    """Take a number or a plain decimal string as Decimal; a float goes through its shortest text, never its bits."""
    if value is None or isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool):
        raise ValueError("a truth value is no number")
    elif isinstance(value, int | float):
        number = Decimal(str(value))
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        raise ValueError('a decimal string such as "12.34" is needed')
    # Digits come first: arithmetic with millions of them is slow, or overflows.
    if number is not None and number.is_finite() and len(number.as_tuple().digits) > MAX_DIGITS:
        raise ValueError(f"at most {MAX_DIGITS} digits are kept")
    if number is not None and (not number.is_finite() or abs(number) > MAX_MONEY):
        raise ValueError(f"a finite number up to {MAX_MONEY} is needed")
    return number


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


Money = Annotated[Decimal, BeforeValidator(_decimal), PlainSerializer(_plain, return_type=str, when_used="json")]
Number = Money
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)]
OptionalText = Annotated[Text | None, BeforeValidator(_blank_is_missing)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


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
    card_last_four: Annotated[str, StringConstraints(pattern=r"^\d{4}$")] | None = None


class Receipt(_Part):
    """One receipt as read from its picture."""

    merchant: Merchant = Merchant()
    purchase_date: dt.date | None = None
    purchase_time: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$")] | None = None
    currency: Currency | None = None
    items: Annotated[tuple[Item, ...], BeforeValidator(_few_enough)] = ()
    subtotal: Money | None = None
    taxes: Annotated[tuple[Tax, ...], BeforeValidator(_few_enough)] = ()
    discount: Money | None = None
    tip: Money | None = None
    total: Money | None = None
    payment: Payment = Payment()
    receipt_number: OptionalText = None
    country: Country | None = None
    language: Language | None = None


MOST_LEFT_OUT = 10
"""Fields that a reading names as left out: enough for a person to see what is wrong."""

Confidence = Annotated[float, Field(ge=0, le=1)]


class Reading(_Part):
    """What an endpoint answered: the receipt, and how sure the model is of single fields.

    `confidence` is keyed by dotted path ("total", "merchant.name"); what the model says nothing about is absent.
    `usage` holds what the call cost in the model's own units (tokens, say), as whole numbers. `left_out` names, by
    path, fields that are missing though they stand on the receipt: not read whole, or given as what none can hold.
    """

    receipt: Receipt
    confidence: dict[str, Confidence] = Field(default_factory=dict, max_length=500)
    model_version: OptionalText = None
    usage: dict[str, int] = Field(default_factory=dict, max_length=50)
    left_out: tuple[Annotated[str, StringConstraints(max_length=100)], ...] = Field(
        default=(), max_length=MOST_LEFT_OUT
    )
