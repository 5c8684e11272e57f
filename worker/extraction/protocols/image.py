"""The protocol `image`: pictures in, our own JSON out. It is what the embedded reader speaks.

One page goes as its bytes under its own content type; several go as JSON {"images": [base64, …]}. The answer is the
JSON of `Reading`.
"""

import base64
import json

from worker.extraction.prepare import Prepared
from worker.extraction.protocols import usable
from worker.extraction.protocols.base import Ask, Request
from worker.receipts.receipt import Reading


class ImageProtocol:
    """Image bytes in, `Reading` out."""

    name = "image"
    version = "1"

    def request(self, prepared: Prepared) -> Request:
        """Return the call that asks for the receipt in `prepared`."""
        if len(prepared.pages) == 1:
            page = prepared.pages[0]
            return Request(body=page.data, content_type=page.media_type)
        images = [base64.b64encode(page.data).decode() for page in prepared.pages]
        return Request(body=json.dumps({"images": images}).encode(), content_type="application/json")

    def read(self, answer: bytes) -> Reading:
        """Return what `answer` says, or raise `UnusableAnswer`."""
        return usable.reading(usable.from_json(answer))

    def repair(self, _: Ask) -> Request | None:
        """Return None: a reader that is no language model answers the same again."""
        return None
