"""Answers with wrong fields: which fields are kept, and when the answer is requested again."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extraction.protocols import ChatProtocol, EndpointProtocol, ImageProtocol, UnusableAnswer
from worker.receipts.receipt import Reading, Receipt

GOOD: dict[str, Any] = {
    "merchant": {"name": "Corner Shop"},
    "purchase_date": "2026-05-17",
    "currency": "EUR",
    "items": [{"description": "Bread", "amount": "2.50"}, {"description": "Tea", "amount": "9.84"}],
    "total": "12.34",
}
CHAT, IMAGE = ChatProtocol(extra={}), ImageProtocol()


def answered(protocol: EndpointProtocol, receipt: Any, **more: Any) -> bytes:
    if protocol is IMAGE:
        return json.dumps({"receipt": receipt} | more).encode()
    return json.dumps({"choices": [{"message": {"content": json.dumps(receipt)}}]}).encode()


def problem(protocol: EndpointProtocol, receipt: Any, **more: Any) -> UnusableAnswer:
    with pytest.raises(UnusableAnswer) as caught:
        protocol.read(answered(protocol, receipt, **more))
    return caught.value


@pytest.mark.parametrize("protocol", [CHAT, IMAGE], ids=["chat", "image"])
@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"purchase_date": "2026-02-31"}, "purchase_date"),
        ({"purchase_date": 0}, "purchase_date"),
        ({"purchase_date": "1704067200"}, "purchase_date"),
        ({"purchase_time": "25:99"}, "purchase_time"),
        ({"subtotal": "0." + "0" * 200 + "1"}, "subtotal"),
        ({"merchant": {"name": "Corner \ud800"}}, "merchant.name"),
        ({"payment": {"card_last_four": "\u0664\u0664\u0661\u0667"}}, "payment.card_last_four"),
        ({"currency": "dollars, I think"}, "currency"),
        ({"subtotal": "12 or 13"}, "subtotal"),
        ({"subtotal": [1]}, "subtotal"),
        ({"tip": True}, "tip"),
        ({"discount": 1e300}, "discount"),
        ({"discount": float("nan")}, "discount"),
        ({"tip": 10**40}, "tip"),
        ({"tip": "9" * 2_000_000}, "tip"),
        ({"subtotal": "1e500"}, "subtotal"),
        ({"items": "several"}, "items"),
        ({"items": [{"amount": "1"}] * 6_000}, "items"),
        ({"items": [{"amount": "x"}]}, "items.0.amount"),
        ({"items": [{"amount": "1"}, "Tea"]}, "items.1"),
        ({"taxes": {"rate": 19}}, "taxes"),
        ({"merchant": {"name": {"first": "Corner"}}}, "merchant.name"),
        ({"merchant": ["Corner Shop"]}, "merchant"),
        ({"payment": {"card_last_four": "12"}}, "payment.card_last_four"),
        ({"receipt_number": "9" * 3000}, "receipt_number"),
        ({"country": "Germany"}, "country"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_field_is_left_out_and_named(protocol: EndpointProtocol, wrong: dict[str, Any], path: str) -> None:
    """The problem names the field, and the rest has all other fields."""
    found = problem(protocol, GOOD | wrong)
    assert f"{path}: " in str(found)
    assert found.rest is not None
    assert found.rest.left_out == (path,)
    assert found.rest.receipt.total == Decimal("12.34")
    rest = found.rest.receipt.model_dump(mode="json", exclude_unset=True)
    assert {name: rest[name] for name in GOOD if name not in wrong} == {
        name: value for name, value in GOOD.items() if name not in wrong
    }


@pytest.mark.parametrize("protocol", [CHAT, IMAGE], ids=["chat", "image"])
def test_null_means_missing_everywhere(protocol: EndpointProtocol) -> None:
    """An answer with every field, null for missing ones, is valid."""
    found = protocol.read(answered(protocol, dict.fromkeys(Receipt.model_fields) | {"total": "12.34"}))
    assert found.receipt == Receipt(total=Decimal("12.34"))
    assert IMAGE.read(answered(IMAGE, GOOD, confidence=None, usage=None, left_out=None)).left_out == ()


@pytest.mark.parametrize("protocol", [CHAT, IMAGE], ids=["chat", "image"])
@pytest.mark.parametrize("total", ["a lot", [12.34], "12.50 or 13.50", {"amount": "12.34"}, True])
def test_without_a_usable_total_nothing_is_kept(protocol: EndpointProtocol, total: Any) -> None:
    """An answer with an invalid total has no usable rest."""
    found = problem(protocol, GOOD | {"total": total})
    assert "total: " in str(found)
    assert found.rest is None


@pytest.mark.parametrize("total", ["9" * 2_000_000, "1," * 1_000_000, "1 " * 1_000_000 + "x", "1e999999", 10**400])
@pytest.mark.parametrize("protocol", [CHAT, IMAGE], ids=["chat", "image"])
def test_an_absurd_number_is_not_a_total(protocol: EndpointProtocol, total: Any) -> None:
    """A number with millions of digits is an invalid total."""
    assert problem(protocol, GOOD | {"total": total}).rest is None


@pytest.mark.parametrize("content", ["```{```" * 200_000, "{" * 1_000_000, "<think>" * 100_000, "[" * 100_000])
def test_endless_braces_are_unusable(content: str) -> None:
    """An answer with very many opening braces and no object is unusable."""
    with pytest.raises(UnusableAnswer):
        CHAT.read(json.dumps({"choices": [{"message": {"content": content}}]}).encode())


@pytest.mark.parametrize("receipt", [[], "12.34", 5, None])
def test_a_receipt_that_is_not_an_object_has_no_rest(receipt: Any) -> None:
    """If the receipt itself is invalid, nothing of the answer is kept."""
    assert problem(CHAT, receipt).rest is None
    assert problem(IMAGE, receipt).rest is None


def test_an_invalid_confidence_is_left_out() -> None:
    """Other confidences stay, and the problem does not repeat the answer's own key."""
    for key, value in (("my_key", "high"), ("", 0.5), ("x" * 101, 0.5)):
        rest = problem(IMAGE, GOOD, confidence={"total": 0.9, key: value}).rest
        assert rest is not None
        assert (rest.confidence, rest.left_out) == ({"total": 0.9}, ("confidence",))


def test_an_invalid_usage_is_dropped_silently() -> None:
    """An invalid token count is dropped, and not listed in `left_out`."""
    rest = problem(IMAGE, GOOD, usage={"tokens": "many", "calls": 1, "": 2, "ms": 10**40, "cost": -1}).rest
    assert rest is not None
    assert (rest.usage, rest.left_out) == ({"calls": 1}, ())


def test_an_answer_may_list_what_it_left_out() -> None:
    """The fields that a reader lists as left out are kept, and entries that are not field paths are ignored."""
    said = ["items", "taxes.0.rate", "\x1b[2J", "DROP TABLE", 5, None]
    assert IMAGE.read(answered(IMAGE, GOOD, left_out=said)).left_out == ("items", "taxes.0.rate")
    rest = problem(IMAGE, GOOD | {"tip": "x"}, left_out=["items"]).rest
    assert rest is not None
    assert rest.left_out == ("items", "tip")
    assert IMAGE.read(answered(IMAGE, GOOD, left_out="items")).left_out == ()


@pytest.mark.parametrize(
    ("written", "path", "expected"),
    [
        ({"merchant": "Corner Shop"}, ("merchant", "name"), "Corner Shop"),
        ({"merchant": "N/A"}, ("merchant", "name"), None),
        ({"payment": "cash"}, ("payment", "method"), "cash"),
        ({"payment": {"card_last_four": "**** **** **** 4417"}}, ("payment", "card_last_four"), "4417"),
        ({"payment": {"card_last_four": "4111111111111111"}}, ("payment", "card_last_four"), "1111"),
        ({"purchase_time": "8:47 PM"}, ("purchase_time",), "20:47"),
        ({"currency": "eur"}, ("currency",), "EUR"),
        ({"currency": "€"}, ("currency",), "EUR"),
        ({"country": "de"}, ("country",), "DE"),
        ({"language": "en-US"}, ("language",), "en"),
        ({"taxes": [{"rate": "19%", "amount": "1.97"}]}, ("taxes", 0, "rate"), "19"),
    ],
)
def test_unambiguous_values_in_other_formats_are_accepted(
    written: dict[str, Any], path: tuple[Any, ...], expected: str | None
) -> None:
    """A value in an unexpected format does not cost a second call if it is unambiguous."""
    found: Any = CHAT.read(answered(CHAT, GOOD | written)).receipt.model_dump(mode="json")
    for step in path:
        found = found[step]
    assert found == expected


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from([*GOOD, "taxes", "payment", "tip", "country", "purchase_time"])


def kept(protocol: EndpointProtocol, answer: bytes) -> Reading | None:
    try:
        return protocol.read(answer)
    except UnusableAnswer as caught:
        return caught.rest if caught.rest and caught.rest.left_out else None


@given(wrong=st.dictionaries(fields.filter(lambda name: name != "total"), json_values, max_size=4))
def test_the_total_is_kept_if_any_other_field_is_wrong(wrong: dict[str, Any]) -> None:
    """An invalid value in any other field is left out and named, and the total stays."""
    for protocol in (CHAT, IMAGE):
        found = kept(protocol, answered(protocol, GOOD | wrong))
        assert found is not None
        assert found.receipt.total == Decimal("12.34")
