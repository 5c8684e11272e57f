"""The outcomes of a message. Only settlement acts on them.

If a message names several uploads, `combine` selects the outcome that loses nothing.
"""

from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True)
class Done:
    """The record is stored, or there is nothing to do. Settlement deletes the message."""

    status: str = "ignored"
    """The record's status; "duplicate" or "superseded" if there was a record already; "ignored" if none is needed."""
    reason: str | None = None


@dataclass(frozen=True)
class Reject:
    """The upload can never become a receipt. The record has the reason; settlement deletes the message."""

    reason: str


@dataclass(frozen=True)
class Retry:
    """The receipt failed this time. Settlement makes the message visible again after a backoff."""

    reason: str


@dataclass(frozen=True)
class DeadLetter:
    """The message is unknown. Settlement sends body and reason to the dead-letter queue, then deletes the message."""

    reason: str


@dataclass(frozen=True)
class Release:
    """The work stopped early, through no fault of the receipt. Settlement makes the message visible at once."""

    reason: str = "shutdown"


Outcome = Done | Reject | Retry | DeadLetter | Release


def severity(outcome: Outcome) -> int:
    """Return the rank of an outcome: the more of the message must come back, the higher."""
    match outcome:
        case Done():
            return 0
        case Reject():
            return 1
        case DeadLetter():
            return 2
        case Retry():
            return 3
        case Release():
            return 4
        case _:
            assert_never(outcome)


def combine(outcomes: list[Outcome]) -> Outcome:
    """Return the outcome of a message whose uploads ended in `outcomes`; a message without uploads is done."""
    return max(outcomes, key=severity, default=Done())
