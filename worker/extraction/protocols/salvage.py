"""Salvage: keeps the valid fields of an endpoint's answer, and names the invalid ones in the reading's `left_out`.

One wrong value among fifty does not make the rest worthless. The total is the exception: without a usable total the
answer is requested again, and is useless if the second one lacks it too.
"""

import json
import re
from typing import Any, Final

from pydantic import ValidationError

from worker.extraction.protocols.base import UnusableAnswer
from worker.receipts.receipt import MOST_LEFT_OUT, Reading

OF_SEVERAL: Final = 0.4
"""The total's confidence if the answer has several receipts: the first is used, and a person reviews it."""
_TOTAL: Final = ("receipt", "total")
_PATH: Final = re.compile(r"[a-z_]{1,20}(\.([a-z_]{1,20}|\d{1,4})){0,2}")
_OPTIONAL: Final = frozenset({"usage", "model_version"})
"""Fields that the record does not need: if they are invalid, no review is required."""

Place = tuple[str | int, ...]


def from_json(answer: bytes) -> dict[str, Any]:
    """Return `answer` as a JSON object, or raise `UnusableAnswer`."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswer("the answer is not valid JSON") from error
    if not isinstance(found, dict):
        raise UnusableAnswer("the answer is not a JSON object")
    return found


def reading(answer: dict[str, Any]) -> Reading:
    """Return `answer` as a reading, or raise `UnusableAnswer` with the usable rest of it."""
    answer = answer | {"left_out": _named(answer.get("left_out"))}
    try:
        return Reading.model_validate(answer)
    except ValidationError as error:
        raise UnusableAnswer(problems(error), rest=_rest(answer, error)) from error
    except RecursionError as error:
        raise UnusableAnswer("the JSON is nested too deeply") from error


def _rest(answer: dict[str, Any], error: ValidationError) -> Reading | None:
    """Return the reading without the fields that `error` reports, or None if the total is among them."""
    gone = {_existing(answer, tuple(item["loc"])) for item in error.errors(include_url=False, include_input=False)}
    if {(), _TOTAL, _TOTAL[:1]} & gone:
        return None
    left_out = [*answer["left_out"], *sorted({_path(place) for place in gone if place[0] not in _OPTIONAL})]
    try:
        return Reading.model_validate(_without(answer, gone) | {"left_out": left_out[:MOST_LEFT_OUT]})
    except ValidationError:
        return None


def _named(paths: Any) -> list[str]:
    """Return the fields that the endpoint itself reports as left out; entries that are not field paths are ignored."""
    found = paths if isinstance(paths, list) else []
    return [path for path in found if isinstance(path, str) and _PATH.fullmatch(path)][:MOST_LEFT_OUT]


def _existing(value: Any, place: Place) -> Place:
    """Return the part of `place` that exists in `value`: an error may be about a missing field."""
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
    """Return the violations of the schema, field by field, without the values."""
    lines = (f"{_path(item['loc'])}: {item['msg']}" for item in error.errors(include_url=False, include_input=False))
    return "; ".join(lines)[:1_000]


def _path(place: Place) -> str:
    """Return the field's path. Keys that the answer invented under `confidence` and `usage` are not repeated."""
    if place[:1] in {("confidence",), ("usage",)}:
        place = place[:1]
    return ".".join(map(str, place)).removeprefix("receipt.") or "answer"
