from decimal import Decimal

import pytest
from pydantic import ValidationError

from worker.receipts.receipt import Reading, Receipt


@pytest.mark.parametrize("written", ["12.30", 12.3, Decimal("12.30")])
def test_money_is_a_decimal_string_in_json(written: object) -> None:
    """An amount in any format becomes a decimal string of equal value."""
    total = Receipt.model_validate({"total": written}).model_dump(mode="json")["total"]
    assert isinstance(total, str)
    assert Decimal(total) == Decimal("12.3")


@pytest.mark.parametrize("written", ["12,30", "NaN", float("nan"), float("inf"), True, "1e3", "4006381333931000000"])
def test_an_invalid_amount_is_refused(written: object) -> None:
    """A total that is not a plain finite decimal is an error."""
    with pytest.raises(ValidationError):
        Receipt.model_validate({"total": written})


def test_blank_is_missing() -> None:
    """A blank name becomes null."""
    assert Receipt.model_validate({"merchant": {"name": "  "}}).merchant.name is None


def test_unknown_fields_are_ignored() -> None:
    """Fields of a newer model that this worker does not know are ignored."""
    assert Reading.model_validate({"receipt": {"total": "1", "aura": "blue"}, "mood": 1}).receipt.total == 1
