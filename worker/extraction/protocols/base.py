"""The interface of an endpoint protocol."""

from dataclasses import dataclass
from typing import Protocol

from worker.errors import ReceiptsError
from worker.extraction.pages import Prepared
from worker.receipts.receipt import MOST_LEFT_OUT, Reading


class UnusableAnswer(ReceiptsError):
    """An answer that is not a valid receipt. The text gives the reason in terms of the schema, without receipt content.

    `rest`: the reading without the wrong fields, or None if the whole answer is unusable.
    `usage`: the cost of the answer in the model's own units; it was paid for all the same.
    """

    def __init__(self, problem: str, *, rest: Reading | None = None) -> None:
        super().__init__(problem)
        self.rest = rest
        self.usage: dict[str, int] = rest.usage if rest else {}


@dataclass(frozen=True)
class EndpointRequest:
    """The body of one call."""

    body: bytes
    content_type: str
    accept: str = "application/json"


@dataclass(frozen=True)
class FailedExchange:
    """A request, the unusable answer to it, and the problem with that answer."""

    request: EndpointRequest
    answer: bytes
    problem: str


def naming_unsent_pages(reading: Reading, prepared: Prepared) -> Reading:
    """Return `reading`, with "pages" in `left_out` if not all pages were sent: the total may be on another."""
    if prepared.whole:
        return reading
    return reading.model_copy(update={"left_out": ("pages", *reading.left_out)[:MOST_LEFT_OUT]})


class EndpointProtocol(Protocol):
    """The request and response format of one kind of endpoint."""

    name: str
    version: str
    """Stored in the record. It changes when the prompt or the schema changes."""

    def request(self, prepared: Prepared) -> EndpointRequest:
        """Return the request for the receipt in `prepared`."""
        ...

    def read(self, answer: bytes) -> Reading:
        """Return the reading in `answer`, or raise `UnusableAnswer`."""
        ...

    def repair(self, exchange: FailedExchange) -> EndpointRequest | None:
        """Return a second request that states the problem, or None if asking again cannot help."""
        ...
