"""Corrections that people make. They are stored beside the model's reading and applied to it.

A correction names a field by its dotted path ("total", "merchant.name"). `items` and `taxes` are corrected as a whole.
The value None means that the field is not on the receipt.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from worker.receipts.receipt import Merchant, Payment, Receipt

_PARTS: Final[dict[str, type[BaseModel]]] = {"merchant": Merchant, "payment": Payment}

FIELDS: Final = tuple(
    path
    for name in Receipt.model_fields
    for path in ([f"{name}.{part}" for part in _PARTS[name].model_fields] if name in _PARTS else [name])
)
"""The paths that can be corrected, in the order of the receipt's fields."""

_FORMATS: Final = {
    "purchase_date": "expected a date such as 2026-11-23",
    "purchase_time": "expected a time such as 18:05",
    "currency": "expected a code of three capital letters, such as EUR",
    "country": "expected a code of two capital letters, such as DE",
    "language": "expected a code of two or three lower-case letters, such as de",
    "payment.card_last_four": "expected four digits",
}
"""Error messages for fields whose values have a fixed format."""


def corrected(receipt: Receipt | None, corrections: Mapping[str, Any]) -> Receipt | None:
    """Return `receipt` with `corrections` applied. If it is None, the corrections alone make the receipt.

    Raises `ValueError` with the field and the reason if a correction is not valid.
    """
    if not corrections:
        return receipt
    fields = (receipt or Receipt()).model_dump(mode="json")
    for path, value in corrections.items():
        if path not in FIELDS:
            raise ValueError(f"unknown field {path[:100]!r}. The fields are {', '.join(FIELDS)}")
        name, _, part = path.partition(".")
        if part:
            fields[name][part] = value
        else:
            fields[name] = value if value is not None or name not in ("items", "taxes") else ()
    try:
        return Receipt.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(
            f"{where}: {_FORMATS.get(where) or str(first['msg']).removeprefix('Value error, ')}"
        ) from error


def flat(receipt: Receipt) -> Iterator[tuple[str, Any]]:
    """Yield the path and the JSON value of each field of `receipt`."""
    fields = receipt.model_dump(mode="json")
    for path in FIELDS:
        name, _, part = path.partition(".")
        yield path, fields[name][part] if part else fields[name]
