"""Text from receipts made safe to print: removes characters that control a terminal or change the text direction."""

import json
import re
import unicodedata
from typing import Any

_CONTROL = re.compile(
    "["
    "\x7f-\x9f"  # DEL and C1: 0x9b alone begins an escape sequence
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # zero width, line separators, direction
    "\U000e0000-\U000e007f"  # tags
    "]"
)


def printable(text: object) -> str:
    """Return `text` on one line without control characters; line breaks and tabs become blanks."""
    kept = (char if not unicodedata.category(char).startswith("C") else " " * char.isspace() for char in str(text))
    return "".join(kept)


def printable_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as readable JSON: letters unescaped, characters that control a terminal escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _CONTROL.sub(lambda match: json.dumps(match[0])[1:-1], text)
