import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.receipts.checks import Finding, check, confidence, decide
from worker.receipts.receipt import Reading, Receipt

TODAY = dt.date(2026, 11, 23)
money = st.decimals(min_value=0, max_value=9_999, places=2)
shares = st.floats(min_value=0, max_value=1)
findings = st.lists(st.builds(Finding, st.just("x"), st.just("X."), shares), max_size=5)


def receipt(**fields: object) -> Receipt:
    whole = {"merchant": {"name": "Corner Shop"}, "purchase_date": "2026-11-01", "currency": "EUR", "total": "10.00"}
    return Receipt.model_validate(whole | fields)


def names(**fields: object) -> set[str]:
    return {finding.name for finding in check(receipt(**fields), today=TODAY)}


def test_a_consistent_receipt_has_no_findings() -> None:
    """A receipt whose numbers agree has no findings."""
    fields = {
        "items": [{"description": "a", "quantity": "2", "unit_price": "3.00", "amount": "6.00"}, {"amount": "4.00"}],
        "taxes": [{"description": "VAT", "rate": "19", "net": "8.40", "amount": "1.60"}],
    }
    assert names(**fields) == set()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"total": None}, "total_missing"),
        ({"total": "0"}, "total_zero"),
        ({"total": "-3"}, "total_negative"),
        ({"total": "2000000"}, "total_too_large"),
        ({"total": "10.50", "currency": "JPY"}, "total_decimals"),
        ({"merchant": {}}, "merchant_missing"),
        ({"merchant": {"name": "0049-30"}}, "merchant_no_name"),
        ({"currency": "EUX"}, "currency_unknown"),
        ({"purchase_date": None}, "date_missing"),
        ({"purchase_date": "2026-11-25"}, "date_in_future"),
        ({"purchase_date": "1989-12-31"}, "date_too_old"),
        ({"items": [{"quantity": "2", "unit_price": "3", "amount": "10"}]}, "item_arithmetic"),
        ({"items": [{"description": "a", "amount": "1"}] * 30}, "items_repeat"),
        ({"items": [{"amount": "9"}, {"amount": "9"}]}, "items_against_total"),
        ({"items": [{"amount": "9"}], "subtotal": "10"}, "items_against_subtotal"),
        ({"taxes": [{"rate": "20", "net": "5", "amount": "5"}]}, "tax_against_rate"),
        ({"taxes": [{"amount": "11"}]}, "tax_above_total"),
        ({"subtotal": "7", "taxes": [{"amount": "1"}]}, "sums_against_total"),
    ],
)
def test_each_contradiction_is_found(fields: dict[str, object], name: str) -> None:
    """Each check finds its kind of contradiction."""
    assert name in names(**fields)


def test_a_field_that_was_left_out_sends_the_record_to_review() -> None:
    """A left-out field is a finding, and the reading needs a review despite full confidence."""
    found = check(receipt(), today=TODAY, left_out=("items.2.amount", "currency"))
    assert [finding.name for finding in found] == ["fields_left_out"]
    assert "items.2.amount, currency" in found[0].message
    assert decide(Reading(receipt=receipt(), confidence={"total": 1.0}), found) == "needs_review"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "extracted"),
        ({"purchase_date": None}, "extracted"),
        ({"merchant": {}}, "extracted"),
        ({"purchase_date": None, "merchant": {}}, "needs_review"),
        ({"items": [{"amount": "9"}, {"amount": "9"}]}, "needs_review"),
        ({"subtotal": "10", "items": [{"amount": "9"}]}, "needs_review"),
    ],
)
def test_a_reading_without_confidences_is_extracted_if_it_adds_up(fields: dict[str, object], status: str) -> None:
    """One missing field needs no review, but a total alone or items with another sum do."""
    found = check(receipt(**fields), today=TODAY)
    assert decide(Reading(receipt=receipt(**fields)), found) == status


def test_a_charge_below_the_subtotal_adds_up() -> None:
    """Items may continue below the subtotal if the first ones add up to it and all lead to the total."""
    goods: list[dict[str, str]] = [{"amount": "20.00"}, {"amount": "16.00"}]
    whole: dict[str, object] = {"subtotal": "36.00", "taxes": [{"amount": "2.38"}], "total": "41.98"}
    assert names(**whole, items=[*goods, {"amount": "3.60"}]) == set()
    assert names(**whole, items=goods) == {"sums_against_total"}
    assert names(**whole, items=[*goods, {"amount": "4.60"}]) == {"sums_against_total", "items_against_subtotal"}


def test_tomorrow_is_not_in_the_future() -> None:
    """Tomorrow's date in UTC is accepted: it can be today at the shop."""
    assert "date_in_future" not in names(purchase_date="2026-11-24")


@given(subtotal=money, tax=money, discount=money, tip=money)
def test_sums_that_agree_are_never_found(subtotal: Decimal, tax: Decimal, discount: Decimal, tip: Decimal) -> None:
    """If subtotal + tax - discount + tip = total, the sums give no finding."""
    total = subtotal + tax - discount + tip
    found = names(subtotal=subtotal, taxes=[{"amount": tax}], discount=discount, tip=tip, total=total)
    assert "sums_against_total" not in found


@given(subtotal=money, off=st.decimals(min_value="0.06", max_value=100, places=2))
def test_sums_that_disagree_are_found(subtotal: Decimal, off: Decimal) -> None:
    """A total that differs by more than cash rounding gives a finding."""
    assert "sums_against_total" in names(subtotal=subtotal, total=subtotal + off)


@given(found=findings, total=shares, date=shares, name=shares)
def test_confidence_is_a_share_and_findings_lower_it(
    found: list[Finding], total: float, date: float, name: float
) -> None:
    """The confidence is in 0..1, never exceeds the total's, and another finding never raises it."""
    reading = Reading(receipt=receipt(), confidence={"total": total, "purchase_date": date, "merchant.name": name})
    with_all = confidence(reading, found)
    assert 0 <= with_all <= total
    assert confidence(reading, found[:-1]) >= with_all


@given(found=findings, threshold=shares)
def test_a_reading_without_a_total_needs_review(found: list[Finding], threshold: float) -> None:
    """No threshold, not even zero, accepts a receipt without a total."""
    assert decide(Reading(receipt=receipt(total=None)), found, threshold=threshold) == "needs_review"


@given(found=findings, low=shares, high=shares)
def test_a_higher_threshold_accepts_fewer(found: list[Finding], low: float, high: float) -> None:
    """A reading that passes a threshold passes every lower one."""
    low, high = sorted((low, high))
    reading = Reading(receipt=receipt())
    if decide(reading, found, threshold=high) == "extracted":
        assert decide(reading, found, threshold=low) == "extracted"


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_is_a_share(weight: float) -> None:
    """A weight outside 0..1 raises an error."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Finding("x", "X.", weight)
