"""The protocol `image`: pictures in, our own JSON out. The embedded reader uses it.

One page is sent as its bytes with its own content type, several as JSON {"images": [base64, …]}. The answer is the JSON
of `Reading`.
"""

import base64
import json

from worker.extraction.pages import Prepared
from worker.extraction.protocols import salvage
from worker.extraction.protocols.base import EndpointRequest, FailedExchange
from worker.receipts.receipt import Reading


class ImageProtocol:
    """The `image` protocol: sends image bytes, reads the JSON of a `Reading`."""

    name = "image"
    version = "1"

    def request(self, prepared: Prepared) -> EndpointRequest:
        """Return the request for the receipt in `prepared`."""
        if len(prepared.pages) == 1:
            page = prepared.pages[0]
            return EndpointRequest(body=page.data, content_type=page.media_type)
        images = [base64.b64encode(page.data).decode() for page in prepared.pages]
        return EndpointRequest(body=json.dumps({"images": images}).encode(), content_type="application/json")

    def read(self, answer: bytes) -> Reading:
        """Return the reading in `answer`, or raise `UnusableAnswer`."""
        return salvage.reading(salvage.from_json(answer))

    def repair(self, _: FailedExchange) -> EndpointRequest | None:
        """Return None: only a language model would give a different answer."""
        return None
