"""Metrics and log lines about the dependencies and the messages of the worker."""

import time
from collections.abc import Callable

import structlog

from worker.errors import DependencyFault, Throttled
from worker.messages.outcomes import DeadLetter, Outcome, Release, Retry
from worker.messages.queue import Received
from worker.resilience.breaker import Breaker
from worker.resilience.dependency import Dependency
from worker.runtime.protection import TaskProtection
from worker.telemetry import Telemetry

log = structlog.get_logger(__name__)


class DependencyReporter:
    """Reports the breakers and the faults of dependencies."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def watch(self, dependency: Dependency) -> None:
        """Report the breaker of `dependency` from now on."""
        self._telemetry.breaker(dependency.name, is_open=dependency.breaker.open)

    def breaker_changed(self, breaker: Breaker) -> None:
        """Report a breaker that opened or closed."""
        self._telemetry.breaker(breaker.name, is_open=breaker.open)
        log.warning("breaker.opened" if breaker.open else "breaker.closed", breaker=breaker.name, reason=breaker.reason)

    def fault(self, fault: DependencyFault) -> None:
        """Count a fault."""
        self._telemetry.count("Throttles" if isinstance(fault, Throttled) else "Faults")
        log.debug("dependency.fault", dependency=fault.dependency, reason=fault.reason, detail=fault.detail)


class MessageReporter:
    """Reports messages: metrics, a log line for each released one, and task protection."""

    def __init__(
        self,
        telemetry: Telemetry,
        protection: TaskProtection | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self._telemetry = telemetry
        self._protection = protection
        self._clock = clock

    def received(self) -> None:
        """Count a finished receive call."""
        self._telemetry.count("Receives")

    def busy(self, in_flight: int) -> None:
        """Pass the number of messages in flight to the task protection."""
        if self._protection:
            self._protection.busy(in_flight)

    def finished(self, received: Received, outcome: Outcome, duration_s: float) -> None:
        """Count the outcome of a message and record its age."""
        match outcome:
            case Retry():
                self._telemetry.count("Retried")
            case DeadLetter():
                self._telemetry.count("DeadLettered")
            case Release():
                self._telemetry.count("Released")
        if received.sent_at:
            self._telemetry.age(max(0.0, self._clock() - received.sent_at))
        if isinstance(outcome, Release):  # every other outcome has its log line already
            log.info(
                "message.released",
                message_id=received.message_id,
                outcome="release",
                reason=outcome.reason,
                receives=received.receives,
                ms=round(duration_s * 1000),
            )
