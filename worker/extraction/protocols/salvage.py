"""What of an endpoint's answer can be used: a field that no receipt can hold is left out, and named in the reading.

One wrong value among fifty is no reason to keep nothing. The total is the exception: an answer that has no usable one
is worth asking for again, and worth nothing without it.
"""

import json
import re
from typing import Any, Final

from pydantic import ValidationError

from worker.extraction.protocols.base import UnusableAnswer
from worker.receipts.receipt import MOST_LEFT_OUT, Reading

OF_SEVERAL: Final = 0.4
"""The total's confidence where the answer has several receipts: the first is taken, and a person looks."""
_KEY: Final = ("receipt", "total")
_PATH: Final = re.compile(r"[a-z_]{1,20}(\.([a-z_]{1,20}|\d{1,4})){0,2}")
_UNTOLD: Final = frozenset({"usage", "model_version"})
"""What the record can do without: no person need look at the receipt because of it."""

Place = tuple[str | int, ...]


def from_json(answer: bytes) -> dict[str, Any]:
    """Return the JSON object `answer`, or raise `UnusableAnswer`."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("the answer is no JSON") from error
    if not isinstance(found, dict):
        raise UnusableAnswer("the answer is no JSON object")
    return found


def reading(answer: dict[str, Any]) -> Reading:
    """Return `answer` as a reading, or raise `UnusableAnswer` with what can be used of it."""
    answer = answer | {"left_out": _named(answer.get("left_out"))}
    try:
        return Reading.model_validate(answer)
    except ValidationError as error:
        raise UnusableAnswer(problems(error), rest=_rest(answer, error)) from error
    except RecursionError as error:
        raise UnusableAnswer("the JSON is nested too deep") from error


def _rest(answer: dict[str, Any], error: ValidationError) -> Reading | None:
    """Return the reading without the fields that `error` is about, or None where they are what counts."""
    gone = {_existing(answer, tuple(item["loc"])) for item in error.errors(include_url=False, include_input=False)}
    if {(), _KEY, _KEY[:1]} & gone:
        return None
    told = [*answer["left_out"], *sorted({_path(place) for place in gone if place[0] not in _UNTOLD})]
    try:
        return Reading.model_validate(_without(answer, gone) | {"left_out": told[:MOST_LEFT_OUT]})
    except ValidationError:
        return None


def _named(paths: Any) -> list[str]:
    """Return the fields that the endpoint itself says it left out; what is no path of a field is ignored."""
    found = paths if isinstance(paths, list) else []
    return [path for path in found if isinstance(path, str) and _PATH.fullmatch(path)][:MOST_LEFT_OUT]


def _existing(value: Any, place: Place) -> Place:
    """Return as much of `place` as there is in `value`: an error may be about what a value lacks."""
    for depth, step in enumerate(place):
        inside = isinstance(value, dict) and step in value
        if not inside and not (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            return place[:depth]
        value = value[step]
    return place


def _without(value: Any, gone: set[Place], at: Place = ()) -> Any:
    if isinstance(value, dict):
        return {name: _without(part, gone, (*at, name)) for name, part in value.items() if (*at, name) not in gone}
    if isinstance(value, list):
        return [_without(part, gone, (*at, number)) for number, part in enumerate(value) if (*at, number) not in gone]
    return value


def problems(error: ValidationError) -> str:
    """Return what does not fit the schema, field by field, without the values."""
    lines = (f"{_path(item['loc'])}: {item['msg']}" for item in error.errors(include_url=False, include_input=False))
    return "; ".join(lines)[:1_000]


def _path(place: Place) -> str:
    """Return the field's name; what keys an answer has of its own is not repeated."""
    if place[:1] in {("confidence",), ("usage",)}:
        place = place[:1]
    return ".".join(map(str, place)).removeprefix("receipt.") or "answer"
