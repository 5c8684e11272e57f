"""Invocations: parses a request's body and produces the answer. It runs in the processes of the pool."""

import base64
import json
from typing import Final

from worker.reader import reader
from worker.reader.picture import BadPictureError

MAX_PAGES: Final = 20


class BadCallError(ValueError):
    """A request that can never be answered. `status` is the HTTP status of the response."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence, status)  # both, so that it can be pickled for another process
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


def answer(body: bytes, content_type: str) -> bytes:
    """Return the JSON of the `Reading` for a request's body, or raise `BadCallError`."""
    try:
        return reader.read(*_pages(body, content_type)).model_dump_json().encode()
    except BadPictureError as error:
        raise BadCallError(str(error), 400) from error


def _pages(body: bytes, content_type: str) -> list[bytes]:
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return [body]
    if content_type != "application/json":
        raise BadCallError(f"Content type {content_type} is not supported: send image/* or application/json.", 415)
    try:
        request = json.loads(body)
        encoded = request["images"] if "images" in request else [request["image"]]
        pages = [base64.b64decode(page, validate=True) for page in encoded]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadCallError('The JSON must be {"image": base64} or {"images": [base64, …]}.', 400) from error
    if not 0 < len(pages) <= MAX_PAGES:
        raise BadCallError(f"`images` must have 1 to {MAX_PAGES} pictures.", 400)
    return pages
