"""The protocol `chat`: OpenAI chat completions, as vLLM, LMI and TGI containers on SageMaker speak it.

Pictures go as data URIs, the schema as `response_format`. An answer may come in code fences, after thinking, with the
flat field names and day-first dates of simpler prompts; what still is no receipt is asked for once more with the error.
Extras of the server stand at the top level of the body: `extra_body` is unfolded by the OpenAI client only
(docs.vllm.ai/en/latest/serving/openai_compatible_server.html).
"""

import base64
import contextlib
import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import resources
from typing import Any, Final, Literal

from worker.extraction.prepare import Prepared
from worker.extraction.protocols import formats, salvage
from worker.extraction.protocols.base import Ask, EndpointRequest, UnusableAnswer
from worker.receipts.currency import SIGNS
from worker.receipts.receipt import MAX_COUNT, NAME, Reading, Receipt

PROMPT: Final = resources.files(__package__).joinpath("prompt.txt").read_text(encoding="utf-8")
PROMPT_NUMBER: Final = 3
"""For people; a digest stands beside it, so that an edited prompt or schema never passes for the old one."""

FLAT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "storeName": {"type": ["string", "null"]},
        "purchaseDate": {"type": ["string", "null"], "description": "DD-MM-YYYY"},
        "total": {"type": ["number", "null"]},
    },
    "required": ["storeName", "purchaseDate", "total"],
    "additionalProperties": False,
}
_FENCED: Final = re.compile(r"\A\s*(?:```\w*)?(.*?)(?:```)?\s*\Z", re.DOTALL)
_THINKING: Final = re.compile(
    r"[<\[](think|thinking|thought|reasoning)[>\]].*?([<\[]/\1[>\]]|\Z)", re.DOTALL | re.IGNORECASE
)
_UNOPENED: Final = re.compile(r"\A.*?[<\[]/(?:think|thinking|thought|reasoning)[>\]]", re.DOTALL | re.IGNORECASE)
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[-.](\d{1,2})[-.](\d{4})")
"""Not with slashes: those are copied from the receipt, which may write the month first."""
_AMOUNT: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?")
_THOUSANDS: Final = re.compile(r"[^\d.,]*[1-9]\d{0,2}(,\d{3})+(\.\d+)?\D*")
_NOTHING: Final = frozenset({"", "-", "null", "none", "n/a", "unknown", "not available", "00-00-0000"})
_BRACE: Final = re.compile("[{}]")
MOST_BRACES: Final = 10_000
"""Braces of an answer that are looked at in search of a JSON object."""
MOST_WRAPPED: Final = 5
"""Lists and objects around the receipt's own."""
_MONEY_FIELDS: Final = ("subtotal", "discount", "tip", "total", "unit_price", "amount", "net")
_RECEIPT_NAMES: Final = frozenset({*Receipt.model_fields, "storeName", "purchaseDate"})
_LAST_FOUR: Final = re.compile(r"(?:.*\D|\d{9,15})?(\d{4})", re.DOTALL)
_NOT_GUIDING: Final = frozenset({"title", "default", "maxLength"})
Schema = Literal["receipt", "flat", "none"]
Form = Literal["json_schema", "json_object"]


class ChatProtocol:
    """A chat body with pictures in, the JSON in the message's content out."""

    name = "chat"

    def __init__(
        self,
        *,
        model: str | None = None,
        max_tokens: int = 4_096,
        schema: Schema = "receipt",
        form: Form = "json_schema",
        extra: dict[str, Any],
    ) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._extra = extra
        self._prompt, self._response_format = _told(schema, form)
        told = self._prompt + json.dumps(self._response_format)
        self.version = f"{PROMPT_NUMBER}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def request(self, prepared: Prepared) -> EndpointRequest:
        """Return the call that asks for the receipt in `prepared`."""
        pictures: list[dict[str, Any]] = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:{page.media_type};base64,{base64.b64encode(page.data).decode()}"},
            }
            for page in prepared.pages
        ]
        ask = {"type": "text", "text": "Give the JSON of this receipt."}
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": self._prompt},
            {"role": "user", "content": [*pictures, ask]},
        ]
        return self._body(messages)

    def _body(self, messages: list[dict[str, Any]]) -> EndpointRequest:
        body: dict[str, Any] = {"messages": messages, "max_tokens": self._max_tokens, "temperature": 0}
        if self._model:
            body["model"] = self._model
        if self._response_format:
            body["response_format"] = self._response_format
        return EndpointRequest(body=json.dumps(body | self._extra).encode(), content_type="application/json")

    def repair(self, ask: Ask) -> EndpointRequest | None:
        """Return the conversation so far with what was wrong, so that the model can mend its answer."""
        try:
            sent = json.loads(ask.request.body)
            said = _content(_first_choice(salvage.from_json(ask.answer)))
        except UnusableAnswer:
            return ask.request
        mend = f"That answer cannot be used: {ask.problem}. Give the whole JSON object again, and nothing else."
        messages = [
            *sent["messages"],
            {"role": "assistant", "content": said[:20_000].encode("utf-8", "replace").decode() or "(nothing)"},
            {"role": "user", "content": mend},
        ]
        return self._body(messages)

    def read(self, answer: bytes) -> Reading:
        """Return what `answer` says, or raise `UnusableAnswer`."""
        completion = salvage.from_json(answer)
        usage = _usage(completion)
        try:
            return _reading(completion, usage)
        except UnusableAnswer as problem:
            problem.usage = usage
            raise


def _reading(completion: dict[str, Any], usage: dict[str, int]) -> Reading:
    choice = _first_choice(completion)
    found = find_objects(_content(choice))
    if not found and choice.get("finish_reason") == "length":
        raise UnusableAnswer(
            "it was cut off at the limit of tokens, so leave out whitespace and, if need be, the last items"
        )
    if not found:
        raise UnusableAnswer("there is no JSON object with a receipt's fields in the answer")
    model = completion.get("model")
    reading = salvage.reading(
        {
            "receipt": _receipt(found[0]),
            "confidence": {"total": salvage.OF_SEVERAL} if len(found) > 1 else {},
            "model_version": model[:200] if isinstance(model, str) and model.isprintable() else None,
            "usage": usage,
        }
    )
    if len(found) > 1:
        raise UnusableAnswer("it has several JSON objects, and one is needed", rest=reading)
    return reading


def _told(schema: Schema, form: Form) -> tuple[str, dict[str, Any] | None]:
    """Return the prompt and the `response_format`: where the server takes no schema, the model reads it."""
    guide = FLAT_SCHEMA if schema == "flat" else _guiding(Receipt.model_json_schema(mode="serialization"))
    if schema == "none":
        return f"{PROMPT}- The object is valid under this JSON schema: {json.dumps(guide)}\n", None
    if form == "json_object":  # github.com/huggingface/text-generation-inference/issues/3058
        return PROMPT, {"type": "json_object", "value": guide}
    return PROMPT, {"type": "json_schema", "json_schema": {"name": "receipt", "schema": guide}}


def _guiding(schema: Any) -> Any:
    """Return a JSON schema as a server that decodes by it wants it.

    Every field is named, missing or not: what may be left out, a model leaves out. No length is limited: that costs
    XGrammar, vLLM's default, up to 50 ms a token (github.com/mlc-ai/xgrammar/issues/852).
    """
    if isinstance(schema, list):
        return [_guiding(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _guiding(part) for name, part in schema.items() if name not in _NOT_GUIDING}
    if isinstance(fields := kept.get("properties"), dict):
        kept |= {"required": list(fields), "additionalProperties": False}
    return kept


def _first_choice(completion: dict[str, Any]) -> dict[str, Any]:
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnusableAnswer("the answer has no choices")
    return choices[0]


def _content(choice: dict[str, Any]) -> str:
    """Return what the model said, "" where it said nothing."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):  # some servers answer in parts
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _usage(completion: dict[str, Any]) -> dict[str, int]:
    usage = completion.get("usage")
    if not isinstance(usage, dict):
        return {}
    counts = (
        (name, count)
        for name, count in usage.items()
        if re.fullmatch(NAME, name) and type(count) is int and 0 <= count <= MAX_COUNT
    )
    return dict(list(counts)[:50])


def find_objects(content: str) -> list[dict[str, Any]]:
    """Return the different JSON objects in a model's answer that have a receipt's fields, in order.

    An answer may be bare, in code fences, after thinking, in a list or another object, or among other words.
    """
    bare = _FENCED.sub(r"\1", content).strip()
    try:
        said: Iterator[Any] = iter([_DECODER.decode(bare)])  # what it quotes may look like thinking, and is not
    except (ValueError, RecursionError):
        said = _objects(_UNOPENED.sub("", _THINKING.sub("", content)))
    found = [one for value in said for one in _receipts(value)]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; what stands in it twice with two values is a list of both, which no field takes."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        made[name] = value if name not in made or made[name] == value else [made[name], value]
    return made


_DECODER: Final = json.JSONDecoder(parse_float=str, object_pairs_hook=_once)


def _objects(text: str) -> Iterator[Any]:
    """Give the outermost JSON objects in `text`.

    Of an object that is broken or was cut off the inner ones are whole, but they must not pass for the answer.
    """
    at = unclosed = 0
    for _ in range(MOST_BRACES):
        brace = _BRACE.search(text, at)
        if not brace:
            return
        at = brace.end()
        if brace[0] == "}":
            unclosed = max(0, unclosed - 1)
        elif unclosed:
            unclosed += 1
        else:
            try:
                value, at = _DECODER.raw_decode(text, brace.start())
            except (ValueError, RecursionError):
                unclosed = 1
            else:
                yield value


def _receipts(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Give the objects that have a receipt's fields: `value` or what it wraps.

    A list beside other things is no wrapping: it may be the items of a receipt in names of the model's own.
    """
    if depth > MOST_WRAPPED:
        return
    if isinstance(value, dict) and _RECEIPT_NAMES & value.keys():
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            if isinstance(part, dict) or len(value) == 1:
                yield from _receipts(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _receipts(part, depth + 1)


def _receipt(found: dict[str, Any]) -> dict[str, Any]:
    """Return the object that has the receipt's fields, by their names and in their forms where that is clear."""
    if {"storeName", "purchaseDate"} & found.keys():
        found = {
            "merchant": {"name": found.get("storeName")},
            "purchase_date": found.get("purchaseDate"),
            "total": found.get("total"),
            **{name: value for name, value in found.items() if name in Receipt.model_fields},
        }
    try:
        return {name: _tolerant(value, name) for name, value in found.items() if name in Receipt.model_fields}
    except RecursionError as error:
        raise UnusableAnswer("the JSON is nested too deep") from error


def _tolerant(value: Any, name: str = "") -> Any:
    """Bring what models write for dates, money and nothing into the receipt's own forms; what is unclear stays."""
    if isinstance(value, dict):
        return {key: _tolerant(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_tolerant(part) for part in value]
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in _NOTHING:
        return None
    return _FORMS[name](text) if name in _FORMS else text


def _iso_date(text: str) -> str:
    """Return a day-first date as ISO 8601; the year stands last in no other order that the prompt allows."""
    match = _DAY_FIRST.fullmatch(text)
    if match:
        day, month, year = (int(part) for part in match.groups())
        with contextlib.suppress(ValueError):
            return dt.date(year, month, day).isoformat()
    date = formats.date(text)
    return date.isoformat() if date else text


def _amount(text: str) -> str:
    """Return an amount without its currency sign and blanks; separators that could mean two things stay as they are."""
    if _THOUSANDS.fullmatch(text.replace(" ", "")):  # with the sign before the decimals that the prompt asks for
        return str(formats.amount(text, "."))
    return _number(text)


def _number(text: str) -> str:
    """Return a number without its unit: 1,234 kg may be weighed to the gram, so that it stays as it is."""
    if _AMOUNT.fullmatch(text):
        return format(Decimal(text), "f")
    number = formats.amount(text, None)
    return text if number is None else format(number, "f")


def _last_four(text: str) -> str:
    """Return the last four digits of a card's number, masked or not."""
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
"""How the text of a field is brought into the receipt's form."""
