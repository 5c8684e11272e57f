"""JSON in text: finds the receipt's JSON object in what a chat model wrote."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from worker.receipts.receipt import Receipt

_FENCED: Final = re.compile(r"\A\s*(?:```\w*)?(.*?)(?:```)?\s*\Z", re.DOTALL)
_THINKING: Final = re.compile(
    r"[<\[](think|thinking|thought|reasoning)[>\]].*?([<\[]/\1[>\]]|\Z)", re.DOTALL | re.IGNORECASE
)
_UNOPENED: Final = re.compile(r"\A.*?[<\[]/(?:think|thinking|thought|reasoning)[>\]]", re.DOTALL | re.IGNORECASE)
_BRACE: Final = re.compile("[{}]")
MOST_BRACES: Final = 10_000
"""Braces of an answer that are examined at most in search of a JSON object."""
MOST_WRAPPED: Final = 5
"""Lists and objects around the receipt's own object that are unwrapped at most."""
_RECEIPT_NAMES: Final = frozenset({*Receipt.model_fields, "storeName", "purchaseDate"})


def find_objects(content: str) -> list[dict[str, Any]]:
    """Return the distinct JSON objects in a model's text that have a receipt's fields, in order.

    The JSON can be bare, in code fences, after thinking, in a list or another object, or among other words.
    """
    bare = _FENCED.sub(r"\1", content).strip()
    try:
        values: Iterator[Any] = iter([_DECODER.decode(bare)])  # a quotation in it can look like thinking and is kept
    except (ValueError, RecursionError):
        values = _objects(_UNOPENED.sub("", _THINKING.sub("", content)))
    found = [one for value in values for one in _receipts(value)]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _merge_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. A name with two different values gets a list of both, which no field accepts."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        made[name] = value if name not in made or made[name] == value else [made[name], value]
    return made


_DECODER: Final = json.JSONDecoder(parse_float=str, object_pairs_hook=_merge_duplicates)


def _objects(text: str) -> Iterator[Any]:
    """Yield the outermost JSON objects in `text`.

    The inner objects of a broken or truncated object are skipped: they must not be mistaken for the answer.
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
    """Yield the objects that have a receipt's fields: `value` itself or objects that it wraps.

    A list beside other fields is not a wrapper: it may hold the items of a receipt under the model's own names.
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
