"""Invocations: what a request's body holds, and the answer to it. Runs in the processes of the pool."""

import base64
import json
from typing import Final

from worker.reader import reader
from worker.reader.picture import BadPictureError

MAX_PAGES: Final = 20


class BadCallError(ValueError):
    """The request can never be answered; `status` is the HTTP status to answer with."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence, status)  # both, so that it survives the way from one process to another
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


def answer(body: bytes, content_type: str) -> bytes:
    """Read the receipt in a request's body and give the response's, the JSON of a `Reading`. Raises `BadCallError`."""
    try:
        return reader.read(*_pages(body, content_type)).model_dump_json().encode()
    except BadPictureError as error:
        raise BadCallError(str(error), 400) from error


def _pages(body: bytes, content_type: str) -> list[bytes]:
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return [body]
    if content_type != "application/json":
        raise BadCallError(f"{content_type} is not read: send image/* or application/json.", 415)
    try:
        said = json.loads(body)
        encoded = said["images"] if "images" in said else [said["image"]]
        pages = [base64.b64decode(page, validate=True) for page in encoded]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadCallError('JSON must be {"image": base64} or {"images": [base64, …]}.', 400) from error
    if not 0 < len(pages) <= MAX_PAGES:
        raise BadCallError(f"`images` must hold 1 to {MAX_PAGES} pictures.", 400)
    return pages
