"""A dependency as the worker calls it: classified faults, retries in place, a breaker in front.

The retry loop is our own, because it charges by the state of the breaker: an outage uses up no attempts. A general
retry library takes about 20 microseconds of CPU even for a call that succeeds, which is 5 % of a receipt.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from worker.errors import DependencyFault, Failed, Rejected, Throttled
from worker.resilience.backoff import full_jitter
from worker.resilience.breaker import Breaker
from worker.resilience.faults import SuspectFault, classify

T = TypeVar("T")

THROTTLE_ALLOWANCE = 10
"""A throttled attempt is charged as this fraction of a failed one: throttling does not mean that the receipt is bad."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often one call is attempted, and how long it pauses in between."""

    attempts: int = 6
    """Charged attempts of one call. Attempts are charged only while the breaker is closed."""
    base_s: float = 0.2
    """Upper bound of the first pause, seconds; the bound doubles with each failure."""
    cap_s: float = 10.0
    """Longest pause, seconds."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, not {self.attempts}")
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"base_s must be positive and at most cap_s, not {self.base_s} and {self.cap_s}")


class Dependency:
    """A service that the worker needs, or the machine that it runs on."""

    def __init__(
        self,
        name: str,
        breaker: Breaker,
        policy: RetryPolicy,
        *,
        rng: random.Random | None = None,
        on_fault: Callable[[DependencyFault], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.breaker = breaker
        self._policy = policy
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._on_fault = on_fault

    async def call(self, attempt: Callable[[], Awaitable[T]], *, work: str) -> T:
        """Return the result of `attempt`, waiting and retrying while the dependency fails.

        `work` names the receipt on whose behalf the call is made. Raises the error that `classify` returns: `Rejected`
        or `Failed` at once, and a `DependencyFault` when the charged attempts are used up.
        """
        charged = 0.0
        failures = 0
        while True:
            try:
                return await self._attempt(attempt, work)
            except _Faulted as faulted:
                charged += faulted.charge
                if charged > self._policy.attempts - 1e-9:
                    raise faulted.fault from faulted.fault.__cause__
            failures += 1
            # An open breaker sets its own pace: it lets every waiting call go when the dependency is back.
            if not self.breaker.open:
                policy = self._policy
                await asyncio.sleep(full_jitter(failures, base_s=policy.base_s, cap_s=policy.cap_s, rng=self._rng))

    async def _attempt(self, attempt: Callable[[], Awaitable[T]], work: str) -> T:
        """Make one attempt behind the breaker; raise `_Faulted` for a fault of this dependency."""
        async with self.breaker.admit(work) as admission:
            try:
                result = await attempt()
            except Exception as error:
                known = classify(self.name, error)
                if isinstance(known, DependencyFault) and known.dependency == self.name:
                    suspect, throttled = isinstance(known, SuspectFault), isinstance(known, Throttled)
                    self.breaker.fault(admission, known.reason, suspect=suspect, throttled=throttled)
                    self._on_fault(known)
                    if known is not error:
                        known.__cause__ = error
                    free = admission.probe or self.breaker.open
                    raise _Faulted(known, 0.0 if free else 1 / THROTTLE_ALLOWANCE if throttled else 1.0) from None
                if isinstance(known, Rejected | Failed):
                    self.breaker.success()  # the dependency answered; the receipt is at fault
                if known is error:
                    raise
                raise known from error
            self.breaker.success()
            return result


class _Faulted(Exception):
    """A fault of the dependency, and the part of an attempt that it is charged as."""

    def __init__(self, fault: DependencyFault, charge: float) -> None:
        super().__init__()
        self.fault = fault
        self.charge = charge
