"""How many invocations at a time: follows what the endpoint can take, without being told.

Up by doubling while nothing is known, then additively; down multiplicatively when the endpoint throttles or times out.
A throttle says more than "less": the calls that are still running are what the endpoint does take, so the limit falls
to that number at once. Near the last ceiling the limit climbs slowly, past it fast again: so it holds a steady capacity
closely and still follows one that doubles.

An endpoint that queues instead of throttling shows in its latency: the limit stays where the median is near its floor.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class LimitPolicy:
    """The bounds and the temper of an adaptive limit."""

    least: int = 1
    most: int = 32
    start: int = 8
    shrink: float = 0.9
    """Factor on a throttle, once for all calls of one round trip."""
    shrink_on_timeout: float = 0.7
    slow_rounds: float = 6.0
    """Round trips at a limit near the last ceiling before it is raised by one."""
    latency_hold: float = 1.6
    """Median latency over its floor from which the limit rises no more."""
    latency_shrink: float = 2.2
    """... and from which it falls."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.least <= self.start <= self.most:
            raise ValueError(f"1 <= least <= start <= most is needed, not {self.least}, {self.start}, {self.most}")


class AdaptiveLimit:
    """The pure part: what happened goes in, the limit comes out."""

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
        """Invocations at a time, now."""
        return int(self._limit)

    def succeeded(self, *, started: float, now: float, running: int) -> None:
        """Take note of an answer to a call made at `started`; `running` counts calls under way, this one included."""
        self._latencies.append(now - started)
        slow = self._slow()
        if slow >= self._policy.latency_shrink and started > self._decreased_at:
            self._decrease(self._limit * self._policy.shrink, now)
            return
        if slow >= self._policy.latency_hold or running < self.limit:
            return  # it is slow enough, or the limit is not what holds us back
        self._limit = min(float(self._policy.most), self._limit + self._step())

    def _step(self) -> float:
        """Return how much one answer at the limit raises it; `limit` answers are one round trip."""
        if self._ceiling is None:
            return 1.0  # doubles each round trip
        if self._limit < self._ceiling - 2:
            return 1.0 / self._limit
        if self._limit < self._ceiling + 1:
            return 1.0 / (self._limit * self._policy.slow_rounds)
        return 0.25  # past what was the ceiling: it has moved

    def throttled(self, *, started: float, now: float, running: int) -> None:
        """Take note of a throttle; `running` counts the calls that are still under way without this one."""
        if started <= self._decreased_at:
            self._limit = max(float(self._policy.least), min(self._limit, float(max(running, 1))))
            return
        self._ceiling = float(max(running, self._policy.least))
        self._decrease(min(self._limit * self._policy.shrink, self._ceiling), now)

    def timed_out(self, *, started: float, now: float) -> None:
        """Take note of a call that took too long."""
        if started > self._decreased_at:
            self._decrease(self._limit * self._policy.shrink_on_timeout, now)

    def _decrease(self, limit: float, now: float) -> None:
        self._limit = max(float(self._policy.least), limit)
        self._decreased_at = now
        self._latencies.clear()
        self._since_window = 0

    def _slow(self) -> float:
        """Return the median latency over its floor; 1 until enough is known."""
        self._since_window += 1
        if len(self._latencies) < max(16, min(self._limit, 64)) or self._since_window % 8:
            return 1.0
        now = median(self._latencies)
        # The floor forgets slowly, so that an endpoint that has changed is not measured by what it was.
        self._floor = now if self._floor is None else min(now, self._floor * 1.005)
        return now / self._floor if self._floor > 0 else 1.0


@dataclass
class Slot:
    """One invocation under way."""

    started: float


class Limiter:
    """Slots for invocations: as many at a time as its limit says, first come, first served."""

    def __init__(
        self, *, clock: Callable[[], float], policy: LimitPolicy | None = None, fixed: int | None = None
    ) -> None:
        if (policy is None) == (fixed is None):
            raise ValueError("either a policy or a fixed limit is needed")
        self._adaptive = AdaptiveLimit(policy) if policy else None
        self._fixed = fixed
        self._clock = clock
        self._running = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """Invocations at a time, now."""
        return self._adaptive.limit if self._adaptive else self._fixed or 1

    @property
    def running(self) -> int:
        """Invocations under way."""
        return self._running

    def now(self) -> float:
        """Return the clock on which slots are timed, seconds."""
        return self._clock()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a slot, hold it, and give it back; the caller reports what became of the call."""
        await self._acquire()
        try:
            yield Slot(started=self._clock())
        finally:
            self._running -= 1
            self._hand_out()

    async def _acquire(self) -> None:
        if self._running < self.limit and not self._waiters:
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._running -= 1  # it was handed out in the moment of the cancellation
                self._hand_out()
            else:
                with contextlib.suppress(ValueError):  # a slot that was given back meanwhile has passed it over
                    self._waiters.remove(turn)
            raise

    def _hand_out(self) -> None:
        while self._waiters and self._running < self.limit:
            turn = self._waiters.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)

    def succeeded(self, slot: Slot) -> None:
        """Take note that the call in `slot` was answered."""
        if self._adaptive:
            self._adaptive.succeeded(started=slot.started, now=self._clock(), running=self._running)
            self._hand_out()

    def throttled(self, slot: Slot) -> None:
        """Take note that the call in `slot` was throttled."""
        if self._adaptive:
            self._adaptive.throttled(started=slot.started, now=self._clock(), running=self._running - 1)

    def timed_out(self, slot: Slot) -> None:
        """Take note that the call in `slot` took too long."""
        if self._adaptive:
            self._adaptive.timed_out(started=slot.started, now=self._clock())
