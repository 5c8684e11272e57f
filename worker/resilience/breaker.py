"""The circuit breaker of one dependency: while it is open, calls wait in place and one probe at a time tests it.

    closed --(faults in a row, or only throttles for a while)--> open --(a probe succeeds)--> closed

A receipt may cause a fault itself (`suspect`). While the breaker has met only such faults, receipts that have not met
one are the better health probes: they go first, and at once. A few receipts that the endpoint can never read therefore
do not block the others, and a fault that every receipt meets is an outage.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from worker.resilience.sync import wait_for

THROTTLE_PATIENCE_S = 5.0
"""Seconds of uninterrupted throttling after which the dependency is considered down. Shorter runs only mean that our
rate is too high."""
SUSPECT_PAUSE_FACTOR = 20.0
"""If a single receipt meets all the faults, the longest pause between its probes is multiplied by this."""
PROBE_PATIENCE_S = 10.0
"""Seconds without a new health probe after which the other receipts in flight no longer count as candidates: they may
be waiting for a suspect themselves, for example for its claim."""


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and how often it probes."""

    failures: int = 5
    """Consecutive faults that open it."""
    probe_s: float = 3.0
    """Longest pause between two probes, seconds."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.failures < 1:
            raise ValueError(f"failures must be at least 1, not {self.failures}")
        if self.probe_s <= 0:
            raise ValueError(f"probe_s must be positive, not {self.probe_s}")


@dataclass
class Admission:
    """A call that the breaker admitted."""

    probe: bool
    work: str


class Breaker:
    """The breaker of one dependency, shared by every caller in one worker."""

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float],
        rng: random.Random | None = None,
        on_change: Callable[["Breaker"], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.opened_at: float | None = None
        """Time on the clock at which it opened; None while it is closed."""
        self.reason: str | None = None
        """The reason of the latest fault while it is open."""
        self._policy = policy
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._on_change = on_change
        self._streak = 0
        self._throttles = 0
        self._suspects: set[str] = set()  # the receipts of the latest faults, while each may have caused its own
        self._suspected_at = clock()  # when the newest suspect was added
        self._last_success = clock()
        self._probes = 0
        self._probing = False
        self._next_probe = 0.0
        self._waiting: list[str] = []
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether calls must wait."""
        return self.opened_at is not None

    def wants_probe(self, in_flight: int, *, newest: float) -> bool:
        """Return whether an open breaker needs one more receipt to probe with, besides the `in_flight` ones.

        `newest` is the time on the clock at which the newest of them was received.
        """
        if self._suspects:
            return self.wants_extra_probe(in_flight, newest=newest)
        return self.open and not self._waiting and in_flight < 2

    def wants_extra_probe(self, in_flight: int, *, newest: float) -> bool:
        """Return whether only suspects met the faults and no receipt in flight can serve as a health probe.

        That is so if all of them are suspects, or if the others had enough time: a copy of a suspect's picture, for
        example, waits for the suspect.
        """
        if not self.open or not self._suspects:
            return False
        waited_s = self._clock() - max(self._suspected_at, newest)
        return in_flight <= len(self._suspects) or waited_s >= PROBE_PATIENCE_S

    @asynccontextmanager
    async def admit(self, work: str) -> AsyncIterator[Admission]:
        """Wait until a call for `work` may be made; the caller reports its result with `success` or `fault`."""
        admission = await self._admission(work)
        try:
            yield admission
        finally:
            if admission.probe:
                self._probing = False
                self._wake()

    async def _admission(self, work: str) -> Admission:
        if not self.open:
            return Admission(probe=False, work=work)
        self._waiting.append(work)
        try:
            while True:
                now = self._clock()
                due = now if self._suspects and work not in self._suspects else self._next_probe
                if not self._probing and now >= due and self._may_probe(work):
                    self._probing = True
                    return Admission(probe=True, work=work)
                await self.wait_change(due - now if due > now else None)
                if self.opened_at is None:
                    return Admission(probe=False, work=work)
        except BaseException:
            self._wake()  # another caller may have waited for this one to go first
            raise
        finally:
            self._waiting.remove(work)

    def _may_probe(self, work: str) -> bool:
        """Return whether no better health probe than `work` is waiting."""
        return work not in self._suspects or self._suspects.issuperset(self._waiting)

    async def wait_change(self, timeout_s: float | None) -> None:
        """Wait until the breaker's state changes, at most `timeout_s` seconds."""
        await wait_for(self._changed, timeout_s)

    def success(self) -> None:
        """Record that the dependency answered."""
        self._last_success = self._clock()
        self._streak = self._throttles = 0
        self._suspects.clear()
        if self.open:
            self.opened_at = self.reason = None
            self._probes = 0
            self._on_change(self)
            self._wake()

    def fault(self, admission: Admission, reason: str, *, suspect: bool = False, throttled: bool = False) -> None:
        """Record a fault: `suspect` if the receipt may have caused it, `throttled` if our rate is too high."""
        self._streak += 1
        self._throttles = self._throttles + 1 if throttled else 0
        if suspect:
            if admission.work not in self._suspects:
                self._suspects.add(admission.work)
                self._suspected_at = self._clock()
        else:
            self._suspects.clear()
        if self.open:
            self.reason = reason
            if admission.probe:
                self._schedule_probe()
            return
        if self._streak < self._policy.failures or (throttled and self._only_too_fast()):
            return
        self.opened_at = self._clock()
        self.reason = reason
        self._schedule_probe()
        self._on_change(self)
        self._wake()

    def _only_too_fast(self) -> bool:
        return self._throttles == self._streak and self._clock() - self._last_success < THROTTLE_PATIENCE_S

    def _schedule_probe(self) -> None:
        longest = self._policy.probe_s * (SUSPECT_PAUSE_FACTOR if len(self._suspects) == 1 else 1)
        grown = min(longest, self._policy.probe_s / 8 * 2.0**self._probes)
        self._probes = min(self._probes + 1, 30)
        self._next_probe = self._clock() + self._rng.uniform(grown / 2, grown)

    def _wake(self) -> None:
        """Wake all waiters; each checks whether it may go."""
        self._changed.set()
        self._changed = asyncio.Event()
