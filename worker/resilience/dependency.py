"""A dependency as the worker calls it: classified faults, retries in place, a breaker in front.

The first try is made bare, because nearly all succeed; retries are tenacity's, with full jitter. Tries are charged only
while the breaker is closed: an outage uses up no patience.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from worker.errors import DependencyFault, Failed, Rejected, Throttled
from worker.resilience.breaker import Breaker
from worker.resilience.faults import SuspectFault, classify

T = TypeVar("T")

THROTTLE_ALLOWANCE = 10
"""A throttled try costs this fraction of a failed one: being too fast is no sign that the receipt is at fault."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently one call is tried."""

    attempts: int = 6
    """Tries of one call while its dependency is healthy."""
    base_s: float = 0.2
    """First pause, seconds; pauses double and are fully jittered."""
    cap_s: float = 10.0
    """Longest pause, seconds."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, not {self.attempts}")
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"base_s must be positive and at most cap_s, not {self.base_s} and {self.cap_s}")


class Dependency:
    """One of the services that the worker lives on."""

    def __init__(
        self,
        name: str,
        breaker: Breaker,
        policy: RetryPolicy,
        *,
        on_fault: Callable[[DependencyFault], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.breaker = breaker
        self._policy = policy
        self._on_fault = on_fault

    async def call(self, attempt: Callable[[], Awaitable[T]], *, work: str) -> T:
        """Return what `attempt` returns, waiting and trying again while the dependency is unwell.

        `work` names the receipt on whose behalf this is. Raises what `classify` makes of the error: `Rejected` or
        `Failed` at once, a `DependencyFault` when the tries are used up though the dependency serves others.
        """
        charge = _Charge(self._policy.attempts)
        try:
            return await self._try(attempt, work, charge)
        except DependencyFault as fault:
            if not self._ours(fault) or charge.used_up:
                raise
        jittered = wait_random_exponential(multiplier=self._policy.base_s, max=self._policy.cap_s)
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._ours),
            stop=charge.stop,
            # An open breaker has a pause of its own, and lets all go at once when the dependency is back.
            wait=lambda state: 0.0 if self.breaker.open else jittered(state),
            reraise=True,
        )
        await asyncio.sleep(random.uniform(0, self._policy.base_s))  # noqa: S311 - jitter, no secret
        return await retrying(self._try, attempt, work, charge)

    def _ours(self, error: BaseException) -> bool:
        return isinstance(error, DependencyFault) and error.dependency == self.name

    async def _try(self, attempt: Callable[[], Awaitable[T]], work: str, charge: "_Charge") -> T:
        async with self.breaker.admit(work) as admission:
            try:
                result = await attempt()
            except Exception as error:
                known = classify(self.name, error)
                if isinstance(known, DependencyFault) and self._ours(known):
                    suspect, throttled = isinstance(known, SuspectFault), isinstance(known, Throttled)
                    self.breaker.fault(admission, known.reason, suspect=suspect, throttled=throttled)
                    charge.add(throttled=throttled, free=admission.probe or self.breaker.open)
                    self._on_fault(known)
                elif isinstance(known, Rejected | Failed):
                    self.breaker.success()  # it answered, and said that the receipt is at fault
                if known is error:
                    raise
                raise known from error
            self.breaker.success()
            return result


class _Charge:
    """What one call has used of its tries."""

    def __init__(self, attempts: int) -> None:
        self._left = float(attempts)

    def add(self, *, throttled: bool, free: bool) -> None:
        if not free:
            self._left -= 1 / THROTTLE_ALLOWANCE if throttled else 1

    @property
    def used_up(self) -> bool:
        return self._left <= 1e-9

    def stop(self, _: RetryCallState) -> bool:
        return self.used_up
