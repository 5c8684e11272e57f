"""The consumer: take a permit, receive, work, give the permit back, settle.

The consumer takes a permit before it receives a message, and gives it back in one place, when the outcome is known. One
long poll runs while there is little to do. More polls start while receives come back full, and end when they do not.
While a breaker is open the consumer receives nothing, except one message at a time if the breaker needs a receipt to
probe with. If receipts that may have caused the fault hold every permit, that message is received beyond the permits:
otherwise a worker full of bad receipts would never receive the one that shows that the endpoint works.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from worker.errors import DependencyFault, LeaseLost
from worker.messages.leases import Lease, LeaseKeeper
from worker.messages.outcomes import Outcome, Release, Retry
from worker.messages.permits import Permits
from worker.messages.queue import BATCH, Queue, Received
from worker.messages.settlement import Settler
from worker.resilience.breaker import Breaker
from worker.resilience.dependency import Dependency
from worker.resilience.sync import is_being_cancelled

log = structlog.get_logger(__name__)

EXTRA_PROBES = BATCH
"""Messages that may be received beyond the permits while every receipt in flight is a suspect."""
LOOK_S = 1.0
"""Longest time between two checks of the breakers, seconds."""

ABANDON_S = 0.5
"""Time limit for ending cancelled work, seconds."""

Work = Callable[[Received, Lease], Awaitable[Outcome]]


class Watcher(Protocol):
    """An observer of the consumer."""

    def received(self) -> None:
        """Record a finished receive call."""
        ...

    def busy(self, in_flight: int) -> None:
        """Record the number of messages in flight, after each change."""
        ...

    def finished(self, received: Received, outcome: Outcome, duration_s: float) -> None:
        """Record the outcome of a message."""
        ...


@dataclass(frozen=True, kw_only=True)
class ConsumerPolicy:
    """The policy of the consumer: how it polls and stops."""

    receive_wait_s: int = 20
    drain_s: float = 20.0
    """Time that messages in flight get after a stop, seconds."""
    poll_grace_s: float = 1.0
    """Time that a running receive gets after a stop, seconds. SQS may be about to deliver messages to it."""
    hand_back_s: float = 3.0
    """Time limit for handing back the remaining messages, seconds."""


class _InFlight:
    """One message in flight."""

    def __init__(self, lease: Lease, task: "asyncio.Task[Outcome]") -> None:
        self.lease = lease
        self.task = task


class Consumer:
    """Works on messages until it is stopped."""

    def __init__(
        self,
        queue: Queue,
        work: Work,
        *,
        permits: Permits,
        leases: LeaseKeeper,
        settler: Settler,
        sqs: Dependency,
        breakers: Sequence[Breaker],
        policy: ConsumerPolicy,
        watcher: Watcher,
        clock: Callable[[], float],
    ) -> None:
        """`sqs` is the queue as a dependency; `breakers` are those of the other dependencies of the work."""
        self._queue = queue
        self._work = work
        self._permits = permits
        self._leases = leases
        self._settler = settler
        self._sqs = sqs
        self._breakers = breakers
        self._policy = policy
        self._watcher = watcher
        self._clock = clock
        self._stopping = asyncio.Event()
        self._in_flight: set[_InFlight] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._helpers: set[asyncio.Task[None]] = set()
        self._receiving: set[asyncio.Future[None]] = set()
        self._helper_error: BaseException | None = None
        self._last_progress = self._newest = clock()

    @property
    def in_flight(self) -> int:
        """Number of messages in flight."""
        return len(self._in_flight)

    @property
    def progress_at(self) -> float:
        """Time on the clock at which the poller last polled, or waited for a known reason."""
        if self._permits.free <= 0 or self._sqs.breaker.open:
            return self._clock()
        return self._last_progress

    def stop(self) -> None:
        """Stop polling at once; `run` returns when every message in flight is settled or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Poll and work until `stop` is called; then drain.

        If the poller fails, drain as well, and then raise its error. A cancellation leaves no task behind.
        """
        poller = asyncio.create_task(self._poll(), name="poller")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait({poller, stopping}, return_when=asyncio.FIRST_COMPLETED)
            poller_failed = poller.done() and not self._stopping.is_set()
            await self._end_polls({poller, *self._helpers})
            await self._drain()
            if poller_failed:
                await poller
            if self._helper_error:
                raise self._helper_error
        finally:
            stopping.cancel()
            await self._abandon({poller, *self._helpers})

    async def _end_polls(self, polls: "set[asyncio.Task[None]]") -> None:
        """Wait a moment for running receives, then cancel them."""
        if self._receiving:
            await asyncio.wait(self._receiving, timeout=self._policy.poll_grace_s)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)

    async def _drain(self) -> None:
        log.info("consumer.draining", in_flight=self.in_flight, seconds=self._policy.drain_s)
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=self._policy.drain_s)
        for flight in list(self._in_flight):
            flight.task.cancel()
        # From here on settlement does not wait to fill batches.
        try:
            async with asyncio.timeout(self._policy.hand_back_s):
                await self._flush_until_settled()
        except TimeoutError:
            log.warning("consumer.left_to_sqs", messages=len(self._handlers))

    async def _abandon(self, polls: "set[asyncio.Task[None]]") -> None:
        """Cancel the polls and the work that is left. Its messages return when their visibility ends."""
        self._stopping.set()
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        for flight in self._in_flight:
            flight.task.cancel()
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(set(self._handlers), timeout=ABANDON_S)

    async def _flush_until_settled(self) -> None:
        while self._handlers:
            await self._settler.flush()
            if self._handlers:  # the flush may have finished the last one
                await asyncio.wait(self._handlers, timeout=0.02)
        await self._settler.flush()

    async def _poll(self) -> None:
        """Receive until stopped, and start helpers while receives come back full."""
        while not self._stopping.is_set():
            full = await self._receive()
            if full and self._permits.free >= BATCH and len(self._helpers) < self._most_helpers:
                helper = asyncio.create_task(self._help(), name="poll-helper")
                self._helpers.add(helper)
                helper.add_done_callback(self._helper_ended)

    @property
    def _most_helpers(self) -> int:
        return math.ceil(self._permits.most / BATCH) - 1

    async def _help(self) -> None:
        while not self._stopping.is_set() and await self._receive():
            pass

    def _helper_ended(self, helper: "asyncio.Task[None]") -> None:
        self._helpers.discard(helper)
        if not helper.cancelled() and (error := helper.exception()):
            self._helper_error = self._helper_error or error
            self._stopping.set()

    async def _receive(self) -> bool:
        """Receive once, when there is a permit and the breakers allow it; return whether the reply was full."""
        wanted = await self._permitted()
        if not wanted:
            return False
        started = 0
        calling: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            if self._stopping.is_set():
                return False
            self._receiving.add(calling)
            asked_at = self._clock()
            messages = await self._ask_for(wanted)
            self._last_progress = self._clock()
            self._watcher.received()
            for message in messages[:wanted]:
                self._start(message, asked_at=asked_at)
                started += 1
        finally:
            self._receiving.discard(calling)
            calling.cancel()
            self._permits.give_back(wanted - started)
        return started == wanted

    async def _ask_for(self, wanted: int) -> Sequence[Received]:
        """Call SQS until it answers. If the attempts are used up, log that and return nothing."""

        async def receive() -> list[Received]:
            self._last_progress = self._clock()  # a slow queue does not mean that the poller is stuck
            return await self._queue.receive(
                wanted, wait_s=self._policy.receive_wait_s, visibility_s=self._leases.policy.visibility_s
            )

        try:
            return await self._sqs.call(receive, work="poller")
        except DependencyFault as fault:
            log.warning("consumer.receive_failed", reason=fault.reason)
            return ()

    async def _permitted(self) -> int:
        """Wait until there is a permit and the breakers allow it; return the permits taken, 0 after a stop."""
        while not self._stopping.is_set():
            open_breakers = [breaker for breaker in self._breakers if breaker.open]
            if not open_breakers:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        return await self._permits.take(BATCH)
            elif self._may_take_one(open_breakers):
                self._permits.take_one()
                return 1
            else:
                self._last_progress = self._clock()
                await open_breakers[0].wait_change(LOOK_S)
        return 0

    def _may_take_one(self, open_breakers: Sequence[Breaker]) -> bool:
        """Return whether one message is wanted as a health probe, within the permits or beyond them."""
        in_flight, newest = self.in_flight, self._newest
        if self._permits.free > 0:
            return any(breaker.wants_probe(in_flight, newest=newest) for breaker in open_breakers)
        return self._permits.free > -EXTRA_PROBES and any(
            breaker.wants_extra_probe(in_flight, newest=newest) for breaker in open_breakers
        )

    def _start(self, received: Received, *, asked_at: float) -> None:
        self._newest = self._clock()
        lease = self._leases.open(received, asked_at=asked_at)
        task = asyncio.create_task(self._outcome(received, lease), name=f"work-{received.message_id}")
        lease.when_lost(task.cancel)
        flight = _InFlight(lease, task)
        self._in_flight.add(flight)
        self._watcher.busy(self.in_flight)
        handler = asyncio.create_task(self._handle(received, flight), name=f"message-{received.message_id}")
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _handle(self, received: Received, flight: _InFlight) -> None:
        """Wait for the outcome of one message, give its permit back at once, and settle it."""
        began, lease = self._clock(), flight.lease
        try:
            outcome = await flight.task
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise  # the worker has ended: the message returns when its visibility ends
            outcome = Release(lease.lost or "shutdown")
        finally:
            self._in_flight.discard(flight)
            self._permits.give_back()
            self._watcher.busy(self.in_flight)
        await self._leases.close(lease)
        self._watcher.finished(received, outcome, self._clock() - began)
        if lease.lost not in {"expired", "taken"}:  # another worker may have the message now
            await self._settler.settle(received, outcome)

    async def _outcome(self, received: Received, lease: Lease) -> Outcome:
        try:
            return await self._work(received, lease)
        except LeaseLost as lost:
            return Release(str(lost) or "lease_lost")
        except Exception as error:
            log.exception("message.failed_unexpectedly", message_id=received.message_id, error=type(error).__name__)
            return Retry("internal_error")
