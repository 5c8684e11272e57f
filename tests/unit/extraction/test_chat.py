"""The `chat` protocol: requests to language models, and the readings from their answers."""

import base64
import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extraction.pages import Page, Prepared
from worker.extraction.protocols import ChatProtocol, EndpointRequest, FailedExchange, ImageProtocol, UnusableAnswer
from worker.receipts.checks import check, decide
from worker.receipts.receipt import Reading

CHAT = ChatProtocol(extra={})
GOOD = '{"merchant": {"name": "Shop"}, "purchase_date": "2023-10-26", "total": "42.58"}'
PREDECESSOR = '{"storeName": "OAK STREET MARKET", "purchaseDate": "26-10-2023", "total": 42.58}'


def completion(content: Any, *, finish: str = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return json.dumps({"id": "1", "model": "m", "choices": [choice], **more}).encode()


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Here it is: {GOOD} Anything else?",
        f"<think>The total may be {{1}} or 2</think>{GOOD}",
        f"no opening tag</think>\n```json\n{GOOD}```",
        f'[THINK]perhaps {{"total": "1.00"}}[/THINK]{GOOD}',
        [{"type": "text", "text": GOOD}],
        f'{{"receipt": {GOOD}}}',
        f'{{"receipt": [{GOOD}]}}',
    ],
    ids=[
        "bare",
        "fenced",
        "fenced without language",
        "among words",
        "after thinking",
        "tag cut",
        "thinking in brackets",
        "parts",
        "wrapped",
        "a list wrapped",
    ],
)
def test_the_json_is_found_anywhere_in_the_answer(content: Any) -> None:
    """The JSON is found in code fences, after thinking, among words, and inside wrappers."""
    receipt = CHAT.read(completion(content)).receipt
    assert (receipt.merchant.name, receipt.total) == ("Shop", Decimal("42.58"))


def test_the_predecessors_flat_answer_is_read() -> None:
    """The earlier endpoint's three fields and its day-first date become a receipt."""
    receipt = CHAT.read(completion(PREDECESSOR)).receipt
    assert receipt.merchant.name == "OAK STREET MARKET"
    assert receipt.purchase_date == dt.date(2023, 10, 26)
    assert receipt.total == Decimal("42.58")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$1,234.50", "1234.50"),
        ("12.30 EUR", "12.30"),
        ("1,234.50-", "-1234.50"),
        ("($1,234)", "-1234"),
        (12.3, "12.3"),
        ("-3", "-3"),
        (".50", "0.50"),
        ("$.50", "0.50"),
        ("Rs.50", "50"),
        ("0,410", "0.410"),
        ("null", None),
        ("N/A", None),
    ],
)
def test_unambiguous_amounts_are_accepted(written: Any, expected: str | None) -> None:
    """Currency signs and thousands separators are accepted, and a word for nothing is null."""
    total = CHAT.read(completion(json.dumps({"total": written}))).receipt.total
    assert total == (Decimal(expected) if expected else None)


def test_an_ambiguous_amount_is_requested_again() -> None:
    """Two amounts in one field are left to the model to correct."""
    with pytest.raises(UnusableAnswer, match="total"):
        CHAT.read(completion('{"total": "12.50 or 13.50"}'))


@pytest.mark.parametrize(
    "wrong",
    [
        {"purchase_date": "05/04/2023"},
        {"items": [{"quantity": "1,234"}]},
        {"purchase_date": 1704067200},
        {"purchase_date": "0"},
    ],
)
def test_ambiguous_values_are_requested_again(wrong: dict[str, Any]) -> None:
    """Dates that may be month-first, commas that may be decimal, and bare numbers as dates are unusable."""
    with pytest.raises(UnusableAnswer) as caught:
        CHAT.read(completion(json.dumps({"total": "3.50"} | wrong)))
    assert caught.value.rest is not None
    assert caught.value.rest.receipt.purchase_date is None


@pytest.mark.parametrize(
    ("field", "written", "expected"),
    [
        ("total", "42,58", "42.58"),
        ("total", "1.042,58", "1042.58"),
        ("total", "4.258e1", "42.58"),
        ("purchase_date", "26-10-23", "2023-10-26"),
        ("purchase_date", "10-26-2023", "2023-10-26"),
        ("purchase_date", "26 Oct 2023", "2023-10-26"),
        ("purchase_date", "Not available", None),
    ],
)
def test_unambiguous_values_in_other_formats_are_accepted(field: str, written: str, expected: str | None) -> None:
    """A value in an unexpected format does not cost a second call if it is unambiguous."""
    receipt = CHAT.read(completion(json.dumps({"currency": "EUR", field: written}))).receipt
    assert receipt.model_dump(mode="json")[field] == expected


def test_braces_in_words_before_the_object_are_skipped() -> None:
    """The object with a receipt's fields is the answer, wherever it is."""
    assert CHAT.read(completion('The receipt {blurry} says: {"total": "3.50"}')).receipt.total == Decimal("3.50")


@pytest.mark.parametrize(
    "content",
    [
        '{"merchant": {"name": "A"}, "items": [{"description": "Tea", "total": "2.00"}], "total": "5.00",}',
        '{"merchant": {"name": "A"}, "items": [{"description": "Tea", "total": "2.00"}, {"descr',
        '{"store": "A", "lines": [{"description": "Tea", "total": "2.00"}], "grand_total": "5.00"}',
    ],
    ids=["a comma too many", "cut off", "names of its own"],
)
def test_a_part_of_an_answer_is_not_taken_for_the_whole(content: str) -> None:
    """An inner object of a broken, truncated or differently named answer is not the receipt."""
    for finish in ("stop", "length"):
        with pytest.raises(UnusableAnswer) as caught:
            CHAT.read(completion(content, finish=finish))
        assert caught.value.rest is None


@pytest.mark.parametrize("tag", ["<think>", "</think>", "</thinking> {"])
def test_receipt_text_is_not_taken_for_thinking(tag: str) -> None:
    """A bare or fenced answer is used unchanged, even if it quotes thinking tags."""
    said = json.dumps({"items": [{"description": f"Book {tag}"}], "total": "3.50"})
    for content in (said, f"```json\n{said}\n```"):
        receipt = CHAT.read(completion(content)).receipt
        assert (receipt.total, receipt.items[0].description) == (Decimal("3.50"), f"Book {tag}")


def test_a_duplicate_field_with_two_values_is_unusable() -> None:
    """A field with two different values is unusable; the same value twice is accepted."""
    with pytest.raises(UnusableAnswer, match="total"):
        CHAT.read(completion('{"total": "1.00", "merchant": {"name": "A"}, "total": "2.00"}'))
    assert CHAT.read(completion('{"total": "1.00", "total": "1.00"}')).receipt.total == Decimal("1.00")


@pytest.mark.parametrize(
    "content",
    [
        '[{"total": "3.50"}, {"total": "4.50"}]',
        '{"total": "3.50"}\n{"total": "4.50"}',
        'First I read {"total": "3.50"}, but now:\n```json\n{"total": "4.50"}\n```',
        '{"receipts": [{"total": "3.50"}, {"total": "4.50"}]}',
    ],
    ids=["a list", "one after another", "a draft and an answer", "a list in an object"],
)
def test_several_receipts_are_requested_again(content: str) -> None:
    """The model is asked for one receipt; otherwise the first is kept with low confidence, for a review."""
    with pytest.raises(UnusableAnswer, match="several") as caught:
        CHAT.read(completion(content))
    rest = caught.value.rest
    assert rest is not None
    assert rest.receipt.total == Decimal("3.50")
    assert decide(rest, check(rest.receipt, today=dt.date(2026, 11, 23))) == "needs_review"


@pytest.mark.parametrize("content", [f"[{GOOD}]", f"{GOOD}\n{GOOD}", f"```{GOOD}```\nAgain: {GOOD}"])
def test_the_same_receipt_twice_is_one(content: str) -> None:
    """A list of one, and an answer that repeats itself, are one receipt."""
    assert CHAT.read(completion(content)).receipt.total == Decimal("42.58")


def test_the_count_of_tokens_is_kept() -> None:
    """The reading has the token counts of the call, and drops values that are not counts."""
    usage = {"prompt_tokens": 900, "completion_tokens": 80, "prompt_tokens_details": None, "huge": 10**40}
    usage |= {"": 1, "\ud800": 1, "x" * 200: 1}
    reading = CHAT.read(completion(GOOD, usage=usage))
    assert reading.usage == {"prompt_tokens": 900, "completion_tokens": 80}
    assert reading.model_version == "m"


def test_a_truncated_answer_is_reported_as_such() -> None:
    """For the finish_reason `length` the problem names the token limit, not invalid JSON."""
    for content in (GOOD[:40], None):
        with pytest.raises(UnusableAnswer, match="limit of tokens") as caught:
            CHAT.read(completion(content, finish="length", usage={"completion_tokens": 4096}))
        assert caught.value.usage == {"completion_tokens": 4096}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"choices": []}',
        completion(None),
        completion("  "),
        completion("I cannot read this."),
        completion("[1]"),
        completion('{"weather": "fine"}'),
        completion('{"total": "a lot"}'),
        completion('{"x": ' * 900 + "1" + "}" * 900),
    ],
)
def test_other_answers_are_unusable(body: bytes) -> None:
    """Every answer that is not a receipt raises `UnusableAnswer`."""
    with pytest.raises(UnusableAnswer):
        CHAT.read(body)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(
    ["merchant", "purchase_date", "items", "taxes", "total", "payment", "storeName", "purchaseDate"]
)


@given(
    content=st.text() | st.dictionaries(names, json_values, max_size=4).map(json.dumps),
    usage=json_values,
    model=json_values,
    finish=st.sampled_from(["stop", "length"]),
)
def test_any_completion_is_a_reading_or_unusable(content: str, usage: Any, model: Any, finish: str) -> None:
    """Any content, usage or model name gives a reading or `UnusableAnswer`."""
    body = json.loads(completion(content, finish=finish)) | {"usage": usage, "model": model}
    try:
        assert isinstance(CHAT.read(json.dumps(body).encode()), Reading)
    except UnusableAnswer as problem:
        assert str(problem)  # noqa: PT017 - either is right, and the repair request quotes the sentence


@given(st.binary(max_size=60))
def test_any_bytes_are_a_reading_or_unusable(body: bytes) -> None:
    """Any bytes give a reading or `UnusableAnswer` in both protocols."""
    for protocol in (CHAT, ImageProtocol()):
        with pytest.raises(UnusableAnswer):
            protocol.read(body)


def pages(count: int) -> Prepared:
    return Prepared(tuple(Page(b"page%d" % at, "image/png", 20, 20) for at in range(count)), "application/pdf", count)


def test_all_pages_are_in_one_request() -> None:
    """Pages are sent in order as data URIs, with the extra options at the top level of the body."""
    protocol = ChatProtocol(model="gemma", max_tokens=99, extra={"chat_template_kwargs": {"enable_thinking": False}})
    body = json.loads(protocol.request(pages(3)).body)
    urls = [part["image_url"]["url"] for part in body["messages"][1]["content"] if part["type"] == "image_url"]
    assert [base64.b64decode(url.removeprefix("data:image/png;base64,")) for url in urls] == [
        b"page0",
        b"page1",
        b"page2",
    ]
    assert (body["model"], body["max_tokens"]) == ("gemma", 99)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["response_format"]["json_schema"]["schema"]["properties"]["purchase_date"]


def test_the_schema_is_a_setting() -> None:
    """A server with guided decoding gets the schema as a parameter; otherwise the prompt has it."""

    def sent(**told: Any) -> tuple[str, Any]:
        body = json.loads(ChatProtocol(extra={}, **told).request(pages(1)).body)
        return body["messages"][0]["content"], body.get("response_format")

    prompt, receipt = sent()
    assert "merchant" in receipt["json_schema"]["schema"]["properties"]
    assert sent(form="json_object") == (prompt, {"type": "json_object", "value": receipt["json_schema"]["schema"]})
    assert "storeName" in sent(schema="flat")[1]["json_schema"]["schema"]["properties"]
    longer, none = sent(schema="none")
    assert none is None
    assert longer.startswith(prompt)
    assert "card_last_four" in longer


def test_the_schema_constrains_decoding() -> None:
    """The schema requires every field and allows no other, has a pattern for money, and limits no length."""
    schema = json.loads(CHAT.request(pages(1)).body)["response_format"]["json_schema"]["schema"]
    whole = [schema, *schema["$defs"].values()]
    assert all(part["required"] == list(part["properties"]) for part in whole)
    assert not any(part["additionalProperties"] for part in whole)
    assert "maxLength" not in json.dumps(schema)
    money, null = schema["properties"]["total"]["anyOf"]
    assert null == {"type": "null"}
    assert re.search(money["pattern"], "-1234.50")
    assert not re.search(money["pattern"], "1,234.50 EUR")


@pytest.mark.parametrize(("content", "quoted"), [(None, "(nothing)"), ("\ud800 {", "? {")])
def test_a_repair_quotes_any_answer(content: Any, quoted: str) -> None:
    """An empty answer still gets its turn, and characters that UTF-8 cannot encode are replaced."""
    again = CHAT.repair(FailedExchange(CHAT.request(pages(1)), completion(content), "no JSON"))
    assert again is not None
    assert json.loads(again.body)["messages"][2] == {"role": "assistant", "content": quoted}


def test_a_repair_has_the_answer_and_the_problem() -> None:
    """The second request has the first one with its picture, the answer, and the problem."""
    request = CHAT.request(pages(1))
    again = CHAT.repair(FailedExchange(request, completion('{"total": "x"}'), "total: no number"))
    assert again is not None
    messages = json.loads(again.body)["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1] == json.loads(request.body)["messages"][1]
    assert "total: no number" in messages[3]["content"]


def test_an_unquotable_answer_repeats_the_request() -> None:
    """If the answer is not a completion, the same request is sent again."""
    request = EndpointRequest(b'{"messages": []}', "application/json")
    assert CHAT.repair(FailedExchange(request, b"<html>", "no JSON")) == request


def test_an_edited_prompt_has_another_version() -> None:
    """The version in a record includes a digest of the prompt and the schema."""
    number, digest = CHAT.version.split("-")
    assert number.isdigit()
    assert len(digest) == 8
    assert ChatProtocol(extra={}).version == CHAT.version != ChatProtocol(schema="flat", extra={}).version


def test_the_image_protocol_sends_bytes_or_a_list() -> None:
    """One page is sent as its bytes, several as base64 in JSON, and the answer is read."""
    protocol = ImageProtocol()
    assert protocol.request(pages(1)).body == b"page0"
    images = json.loads(protocol.request(pages(2)).body)["images"]
    assert [base64.b64decode(image) for image in images] == [b"page0", b"page1"]
    assert protocol.read(b'{"receipt": {"total": "1.20"}, "usage": {"cpu_ms": 5}}').receipt.total == Decimal("1.20")
    assert protocol.repair(FailedExchange(protocol.request(pages(1)), b"", "x")) is None
