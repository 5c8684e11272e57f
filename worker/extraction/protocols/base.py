"""What every protocol of an endpoint has to say."""

from dataclasses import dataclass
from typing import Protocol

from worker.errors import ReceiptsError
from worker.extraction.prepare import Prepared
from worker.receipts.receipt import MOST_LEFT_OUT, Reading


class UnusableAnswer(ReceiptsError):
    """An answer that is no receipt; its text says why in terms of the schema, without quoting the answer.

    `rest`: the reading without the fields that are wrong, where only those are; None where the whole answer is.
    `usage`: what the answer cost in the model's own units, since it has been paid for all the same.
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
class Ask:
    """What was asked, and what came back that could not be used."""

    request: EndpointRequest
    answer: bytes
    problem: str


def naming_unsent_pages(reading: Reading, prepared: Prepared) -> Reading:
    """Return `reading` with "pages" among what was left out where not all was sent: the total may stand there."""
    if prepared.whole:
        return reading
    return reading.model_copy(update={"left_out": ("pages", *reading.left_out)[:MOST_LEFT_OUT]})


class EndpointProtocol(Protocol):
    """How one kind of endpoint is asked, and how its answers are read."""

    name: str
    version: str
    """Goes into the record: a change of prompt or schema is a new version."""

    def request(self, prepared: Prepared) -> EndpointRequest:
        """Return the call that asks for the receipt in `prepared`."""
        ...

    def read(self, answer: bytes) -> Reading:
        """Return what `answer` says, or raise `UnusableAnswer`."""
        ...

    def repair(self, ask: Ask) -> EndpointRequest | None:
        """Return the call that asks once more, telling what was wrong, or None where asking again is no use."""
        ...
