"""The whole vocabulary of what can become of a message. Only settlement acts on it.

Outcomes of several records in one message combine to the one that loses nothing: see `combine`.
"""

from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True)
class Done:
    """Stored, already stored, or nothing to do: the message is deleted."""

    status: str = "ignored"
    """The record's status, or "ignored" where there is none, "duplicate" or "superseded" where one stood already."""
    reason: str | None = None


@dataclass(frozen=True)
class Reject:
    """The upload can never work; the record says why and the message is deleted."""

    reason: str


@dataclass(frozen=True)
class Retry:
    """The receipt failed for now: visible again after `after_s` seconds, or by backoff where that is None."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True)
class DeadLetter:
    """Nothing that we know: body and reason go to the dead-letter queue, then the message is deleted."""

    reason: str


@dataclass(frozen=True)
class Release:
    """Not worked on, or not to the end, and nobody's fault: visible again at once."""

    reason: str = "shutdown"


Outcome = Done | Reject | Retry | DeadLetter | Release


def severity(outcome: Outcome) -> int:
    """Order outcomes by how much of the message must come back; the highest decides for all of its records."""
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
    """Return the outcome of a message whose records ended in `outcomes`; a message without records is done."""
    return max(outcomes, key=severity, default=Done())
