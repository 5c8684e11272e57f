"""The adaptive limit: the number of concurrent invocations follows the endpoint's capacity.

The limit doubles each round trip until the first throttle, then grows additively, and shrinks by a factor on a throttle
or a timeout. On a throttle the calls that are still running show the capacity, so the limit falls to their number at
once. Near the last ceiling the limit grows slowly, and beyond it fast again: it stays close to a steady capacity and
still follows one that doubles.

An endpoint that queues instead of throttling shows it by latency: the limit stops where the median leaves its floor.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from worker.resilience.sync import FairQueue


@dataclass(frozen=True, kw_only=True)
class LimitPolicy:
    """The bounds of an adaptive limit, and how fast it moves."""

    least: int = 1
    most: int = 32
    start: int = 8
    shrink: float = 0.9
    """Factor applied on a throttle, once per round trip."""
    shrink_on_timeout: float = 0.7
    slow_rounds: float = 6.0
    """Round trips that a limit near the last ceiling needs to grow by one."""
    latency_hold: float = 1.6
    """Ratio of median latency to its floor at which the limit stops growing."""
    latency_shrink: float = 2.2
    """Ratio of median latency to its floor at which the limit shrinks."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if not 1 <= self.least <= self.start <= self.most:
            raise ValueError(f"1 <= least <= start <= most must hold, not {self.least}, {self.start}, {self.most}")


class AdaptiveLimit:
    """The decision alone: events go in, the limit comes out. It does no I/O and reads no clock."""

    def __init__(self, policy: LimitPolicy) -> None:
        self._policy = policy
        self._limit = float(policy.start)
        self._ceiling: float | None = None
        self._decreased_at = float("-inf")
        self._latencies: deque[float] = deque(maxlen=64)
        self._floor: float | None = None
        self._since_window = 0

    @property
    def limit(self) -> int:
        """Invocations that may run at a time now."""
        return int(self._limit)

    def succeeded(self, *, started: float, now: float, running: int) -> None:
        """Record an answer to a call made at `started`; `running` counts the running calls, this one included."""
        self._latencies.append(now - started)
        slow = self._slow()
        if slow >= self._policy.latency_shrink and started > self._decreased_at:
            self._decrease(self._limit * self._policy.shrink, now)
            return
        if slow >= self._policy.latency_hold or running < self.limit:
            return  # the endpoint is near its capacity, or there is too little work to reach the limit
        self._limit = min(float(self._policy.most), self._limit + self._step())

    def _step(self) -> float:
        """Return how much one answer raises the limit; `limit` answers are one round trip."""
        if self._ceiling is None:
            return 1.0  # doubles each round trip
        if self._limit < self._ceiling - 2:
            return 1.0 / self._limit
        if self._limit < self._ceiling + 1:
            return 1.0 / (self._limit * self._policy.slow_rounds)
        return 0.25  # beyond the last ceiling: the capacity has grown

    def throttled(self, *, started: float, now: float, running: int) -> None:
        """Record a throttle; `running` counts the calls that still run, without this one."""
        if started <= self._decreased_at:
            self._limit = max(float(self._policy.least), min(self._limit, float(max(running, 1))))
            return
        self._ceiling = float(max(running, self._policy.least))
        self._decrease(min(self._limit * self._policy.shrink, self._ceiling), now)

    def timed_out(self, *, started: float, now: float) -> None:
        """Record a call that timed out."""
        if started > self._decreased_at:
            self._decrease(self._limit * self._policy.shrink_on_timeout, now)

    def _decrease(self, limit: float, now: float) -> None:
        self._limit = max(float(self._policy.least), limit)
        self._decreased_at = now
        self._latencies.clear()
        self._since_window = 0

    def _slow(self) -> float:
        """Return the ratio of the median latency to its floor; 1 until there are enough samples."""
        self._since_window += 1
        if len(self._latencies) < max(16, min(self._limit, 64)) or self._since_window % 8:
            return 1.0
        now = median(self._latencies)
        # The floor rises slowly, so that an endpoint that became slower is not compared with its past for long.
        self._floor = now if self._floor is None else min(now, self._floor * 1.005)
        return now / self._floor if self._floor > 0 else 1.0


@dataclass
class Slot:
    """One invocation that is running."""

    started: float


class Limiter:
    """Slots for invocations, as many at a time as the limit, handed out in order of arrival."""

    def __init__(
        self, *, clock: Callable[[], float], policy: LimitPolicy | None = None, fixed: int | None = None
    ) -> None:
        if (policy is None) == (fixed is None):
            raise ValueError("pass either a policy or a fixed limit")
        self._adaptive = AdaptiveLimit(policy) if policy else None
        self._fixed = fixed
        self._clock = clock
        self._running = 0
        self._queue = FairQueue(self._try_take, self._give_back)

    @property
    def limit(self) -> int:
        """Invocations that may run at a time now."""
        return self._adaptive.limit if self._adaptive else self._fixed or 1

    @property
    def running(self) -> int:
        """Invocations that are running."""
        return self._running

    def now(self) -> float:
        """Return the time on the clock that times slots, seconds."""
        return self._clock()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a slot, hold it, and give it back; the caller reports the result of the call."""
        await self._queue.take()
        try:
            yield Slot(started=self._clock())
        finally:
            self._give_back(1)

    def _try_take(self, count: int) -> int | None:
        if self._running + count > self.limit:
            return None
        self._running += count
        return count

    def _give_back(self, count: int) -> None:
        self._running -= count
        self._queue.serve()

    def succeeded(self, slot: Slot) -> None:
        """Record that the call in `slot` was answered."""
        if self._adaptive:
            self._adaptive.succeeded(started=slot.started, now=self._clock(), running=self._running)
            self._queue.serve()

    def throttled(self, slot: Slot) -> None:
        """Record that the call in `slot` was throttled."""
        if self._adaptive:
            self._adaptive.throttled(started=slot.started, now=self._clock(), running=self._running - 1)

    def timed_out(self, slot: Slot) -> None:
        """Record that the call in `slot` timed out."""
        if self._adaptive:
            self._adaptive.timed_out(started=slot.started, now=self._clock())
