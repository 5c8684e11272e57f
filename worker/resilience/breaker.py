"""The breaker of one dependency: while it is open, work waits where it is, and one probe at a time tests the water.

    closed --(faults in a row, or throttled with no success for a while)--> open --(a probe succeeds)--> closed

A fault may be the receipt's own doing (`suspect`). While only such faults are met, receipts that have not met one are
the better witnesses: they probe first, and each as soon as it comes. So a few receipts that the endpoint can never
take hold up nobody, and what all receipts meet is an outage.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

THROTTLE_PATIENCE_S = 5.0
"""So long with nothing but throttles, and the dependency counts as down; before that, the limit is merely too high."""
SUSPECT_PAUSE_FACTOR = 20.0
"""A receipt that alone meets faults probes this much less often in the end than an outage does."""
WITNESS_PATIENCE_S = 10.0
"""So long without a new witness, and none counts as coming: what else is in flight may wait for a suspect itself."""


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and how often it probes."""

    failures: int = 5
    """Faults in a row that open it."""
    probe_s: float = 3.0
    """Longest pause between two probes, seconds."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.failures < 1:
            raise ValueError(f"failures must be at least 1, not {self.failures}")
        if self.probe_s <= 0:
            raise ValueError(f"probe_s must be positive, not {self.probe_s}")


@dataclass
class Admission:
    """One call that the breaker let through."""

    probe: bool
    work: str


class Breaker:
    """The breaker of one dependency, shared by everything in this process that calls it."""

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
        """When it opened, on the clock, or None while it is closed."""
        self.reason: str | None = None
        """The reason of the latest fault while it is open."""
        self._policy = policy
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._on_change = on_change
        self._streak = 0
        self._throttles = 0
        self._suspects: set[str] = set()  # the works of the latest faults, while all of them may be the receipt's doing
        self._suspected_at = clock()  # when the newest of them came to be one
        self._last_success = clock()
        self._probes = 0
        self._probing = False
        self._next_probe = 0.0
        self._waiting: list[str] = []
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Tell whether calls have to wait."""
        return self.opened_at is not None

    @property
    def last_success(self) -> float:
        """When a call last succeeded, on the clock."""
        return self._last_success

    def wants_work(self, in_flight: int, *, newest: float) -> bool:
        """Tell whether an open breaker needs a receipt beside the `in_flight` ones: to probe with, or as a witness.

        `newest` is when the newest of them came, on the clock.
        """
        if self._suspects:
            return self.wants_witness(in_flight, newest=newest)
        return self.open and not self._waiting and in_flight < 2

    def wants_witness(self, in_flight: int, *, newest: float) -> bool:
        """Tell whether an open breaker has met nothing but suspects, and none of the `in_flight` will be its witness.

        Either all of them are suspects, or the others have had time enough: a copy of a suspect's picture, say, waits
        for the suspect.
        """
        if not self.open or not self._suspects:
            return False
        waited_s = self._clock() - max(self._suspected_at, newest)
        return in_flight <= len(self._suspects) or waited_s >= WITNESS_PATIENCE_S

    @asynccontextmanager
    async def admit(self, work: str) -> AsyncIterator[Admission]:
        """Wait until a call for `work` may be made; the caller reports what became of it by `success` or `fault`."""
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
                await self._wait(due - now if due > now else None)
                if self.opened_at is None:
                    return Admission(probe=False, work=work)
        except BaseException:
            self._wake()  # others may have left it the first go
            raise
        finally:
            self._waiting.remove(work)

    def _may_probe(self, work: str) -> bool:
        """Tell whether no better witness than `work` waits."""
        return work not in self._suspects or self._suspects.issuperset(self._waiting)

    async def wait_change(self, timeout_s: float | None) -> None:
        """Wait until the breaker's state changes, `timeout_s` seconds at most."""
        await self._wait(timeout_s)

    async def _wait(self, timeout_s: float | None) -> None:
        changed = self._changed
        try:
            async with asyncio.timeout(timeout_s):
                await changed.wait()
        except TimeoutError:
            pass

    def success(self) -> None:
        """Take note that the dependency answered as it should."""
        self._last_success = self._clock()
        self._streak = self._throttles = 0
        self._suspects.clear()
        if self.open:
            self.opened_at = self.reason = None
            self._probes = 0
            self._on_change(self)
            self._wake()

    def fault(self, admission: Admission, reason: str, *, suspect: bool = False, throttled: bool = False) -> None:
        """Take note of a fault; `suspect` if the receipt may be to blame, `throttled` if we are too fast."""
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
        if self._streak < self._policy.failures or (throttled and self._merely_too_fast()):
            return
        self.opened_at = self._clock()
        self.reason = reason
        self._schedule_probe()
        self._on_change(self)
        self._wake()

    def _merely_too_fast(self) -> bool:
        return self._throttles == self._streak and self._clock() - self._last_success < THROTTLE_PATIENCE_S

    def _schedule_probe(self) -> None:
        longest = self._policy.probe_s * (SUSPECT_PAUSE_FACTOR if len(self._suspects) == 1 else 1)
        grown = min(longest, self._policy.probe_s / 8 * 2.0**self._probes)
        self._probes = min(self._probes + 1, 30)
        self._next_probe = self._clock() + self._rng.uniform(grown / 2, grown)

    def _wake(self) -> None:
        """Wake everybody who waits; each looks for himself whether it is his turn."""
        self._changed.set()
        self._changed = asyncio.Event()
