"""The protocol `chat`: OpenAI chat completions, as served by vLLM, LMI and TGI containers on SageMaker.

The request carries pictures as data URIs and the schema as `response_format`. An answer may come in code fences, after
thinking, or with the flat field names and day-first dates of simpler prompts. If it still is not a receipt, the
endpoint is asked once more, with the error.
Server-specific options are at the top level of the body: only the OpenAI client unfolds `extra_body`
(docs.vllm.ai/en/latest/serving/openai_compatible_server.html).
"""

import base64
import hashlib
import json
import re
from importlib import resources
from typing import Any, Final, Literal

from worker.extraction.pages import Prepared
from worker.extraction.protocols import salvage
from worker.extraction.protocols.base import EndpointRequest, FailedExchange, UnusableAnswer
from worker.extraction.protocols.json_in_text import find_objects
from worker.extraction.protocols.normalise import receipt_fields
from worker.receipts.receipt import MAX_COUNT, NAME, Reading, Receipt

PROMPT: Final = resources.files(__package__).joinpath("prompt.txt").read_text(encoding="utf-8")
PROMPT_NUMBER: Final = 3
"""For people. The version adds a digest, so that an edited prompt or schema always has a new version."""

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
_UNSENT_KEYWORDS: Final = frozenset({"title", "default", "maxLength"})
"""Keywords of the JSON schema that are not sent."""
Schema = Literal["receipt", "flat", "none"]
Form = Literal["json_schema", "json_object"]


class ChatProtocol:
    """The `chat` protocol: sends a chat body with pictures, reads the JSON in the message's content."""

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
        self._prompt, self._response_format = _prompt_and_format(schema, form)
        digested = self._prompt + json.dumps(self._response_format)
        self.version = f"{PROMPT_NUMBER}-{hashlib.sha256(digested.encode()).hexdigest()[:8]}"

    def request(self, prepared: Prepared) -> EndpointRequest:
        """Return the request for the receipt in `prepared`."""
        pictures: list[dict[str, Any]] = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:{page.media_type};base64,{base64.b64encode(page.data).decode()}"},
            }
            for page in prepared.pages
        ]
        task = {"type": "text", "text": "Give the JSON of this receipt."}
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": self._prompt},
            {"role": "user", "content": [*pictures, task]},
        ]
        return self._body(messages)

    def _body(self, messages: list[dict[str, Any]]) -> EndpointRequest:
        body: dict[str, Any] = {"messages": messages, "max_tokens": self._max_tokens, "temperature": 0}
        if self._model:
            body["model"] = self._model
        if self._response_format:
            body["response_format"] = self._response_format
        return EndpointRequest(body=json.dumps(body | self._extra).encode(), content_type="application/json")

    def repair(self, exchange: FailedExchange) -> EndpointRequest | None:
        """Return the conversation so far plus the problem, so that the model can correct its answer."""
        try:
            sent = json.loads(exchange.request.body)
            said = _content(_first_choice(salvage.from_json(exchange.answer)))
        except UnusableAnswer:
            return exchange.request
        correction = (
            f"That answer cannot be used: {exchange.problem}. Give the whole JSON object again, and nothing else."
        )
        messages = [
            *sent["messages"],
            {"role": "assistant", "content": said[:20_000].encode("utf-8", "replace").decode() or "(nothing)"},
            {"role": "user", "content": correction},
        ]
        return self._body(messages)

    def read(self, answer: bytes) -> Reading:
        """Return the reading in `answer`, or raise `UnusableAnswer`."""
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
            "it was cut off at the limit of tokens, so leave out whitespace and, if necessary, the last items"
        )
    if not found:
        raise UnusableAnswer("the answer has no JSON object with a receipt's fields")
    model = completion.get("model")
    reading = salvage.reading(
        {
            "receipt": receipt_fields(found[0]),
            "confidence": {"total": salvage.OF_SEVERAL} if len(found) > 1 else {},
            "model_version": model[:200] if isinstance(model, str) and model.isprintable() else None,
            "usage": usage,
        }
    )
    if len(found) > 1:
        raise UnusableAnswer("it has several JSON objects, but exactly one is expected", rest=reading)
    return reading


def _prompt_and_format(schema: Schema, form: Form) -> tuple[str, dict[str, Any] | None]:
    """Return the prompt and the `response_format`. If the server takes no schema, the prompt includes it."""
    guide = FLAT_SCHEMA if schema == "flat" else _decoding_schema(Receipt.model_json_schema(mode="serialization"))
    if schema == "none":
        return f"{PROMPT}- The object is valid under this JSON schema: {json.dumps(guide)}\n", None
    if form == "json_object":  # github.com/huggingface/text-generation-inference/issues/3058
        return PROMPT, {"type": "json_object", "value": guide}
    return PROMPT, {"type": "json_schema", "json_schema": {"name": "receipt", "schema": guide}}


def _decoding_schema(schema: Any) -> Any:
    """Return `schema` in the form for a server that constrains decoding with it.

    Every field is required: models leave out optional fields. Lengths are not limited: a limit costs XGrammar, vLLM's
    default, up to 50 ms per token (github.com/mlc-ai/xgrammar/issues/852).
    """
    if isinstance(schema, list):
        return [_decoding_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _decoding_schema(part) for name, part in schema.items() if name not in _UNSENT_KEYWORDS}
    if isinstance(fields := kept.get("properties"), dict):
        kept |= {"required": list(fields), "additionalProperties": False}
    return kept


def _first_choice(completion: dict[str, Any]) -> dict[str, Any]:
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnusableAnswer("the answer has no choices")
    return choices[0]


def _content(choice: dict[str, Any]) -> str:
    """Return the model's text, "" if there is none."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):  # some servers split the text into parts
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
