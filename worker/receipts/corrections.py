"""What a person corrects, kept beside what the model read: the receipt as it holds is one applied to the other.

A correction names a field by its dotted path ("total", "merchant.name"); `items` and `taxes` are corrected whole. A
value of None says that the field is not on the receipt.
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
"""The paths that can be corrected, in the order of the receipt."""


_NEEDED: Final = {
    "purchase_date": "a date such as 2026-11-23 is needed",
    "purchase_time": "a time such as 18:05 is needed",
    "currency": "a code of three capital letters such as EUR is needed",
    "country": "a code of two capital letters such as DE is needed",
    "language": "a code of two or three small letters such as de is needed",
    "payment.card_last_four": "four digits are needed",
}
"""What to write where a value has a form."""


def corrected(receipt: Receipt | None, corrections: Mapping[str, Any]) -> Receipt | None:
    """Return `receipt` with `corrections` applied; raise ValueError that says which field cannot be what.

    Where nothing was read the corrections alone make the receipt.
    """
    if not corrections:
        return receipt
    said = (receipt or Receipt()).model_dump(mode="json")
    for path, value in corrections.items():
        if path not in FIELDS:
            raise ValueError(f"there is no field {path[:100]!r}; there are {', '.join(FIELDS)}")
        name, _, part = path.partition(".")
        if part:
            said[name][part] = value
        else:
            said[name] = value if value is not None or name not in ("items", "taxes") else ()
    try:
        return Receipt.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {_NEEDED.get(where) or str(first['msg']).removeprefix('Value error, ')}") from error


def as_said(receipt: Receipt, paths: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `paths` in `receipt`, as JSON has them."""
    fields = dict(flat(receipt))
    return {path: fields[path] for path in paths if path in fields}


def flat(receipt: Receipt) -> Iterator[tuple[str, Any]]:
    """Give the fields of `receipt` by path, as JSON has them."""
    said = receipt.model_dump(mode="json")
    for path in FIELDS:
        name, _, part = path.partition(".")
        yield path, said[name][part] if part else said[name]
