"""The protocol `image`: pictures in, our own JSON out. It is what the embedded reader speaks.

One page goes as its bytes under its own content type; several go as JSON {"images": [base64, …]}. The answer is the
JSON of `Reading`.
"""

import base64
import json

from worker.extraction.prepare import Prepared
from worker.extraction.protocols import salvage
from worker.extraction.protocols.base import Ask, EndpointRequest
from worker.receipts.receipt import Reading


class ImageProtocol:
    """Image bytes in, `Reading` out."""

    name = "image"
    version = "1"

    def request(self, prepared: Prepared) -> EndpointRequest:
        """Return the call that asks for the receipt in `prepared`."""
        if len(prepared.pages) == 1:
            page = prepared.pages[0]
            return EndpointRequest(body=page.data, content_type=page.media_type)
        images = [base64.b64encode(page.data).decode() for page in prepared.pages]
        return EndpointRequest(body=json.dumps({"images": images}).encode(), content_type="application/json")

    def read(self, answer: bytes) -> Reading:
        """Return what `answer` says, or raise `UnusableAnswer`."""
        return salvage.reading(salvage.from_json(answer))

    def repair(self, _: Ask) -> EndpointRequest | None:
        """Return None: a reader that is no language model answers the same again."""
        return None
