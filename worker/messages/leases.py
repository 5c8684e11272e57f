"""Leases: how long a received message belongs to this worker, and the keeper that extends them.

A message stays invisible to other workers for its visibility timeout, counted from its receive or last extension. The
keeper extends all leases in batches of ten, early enough that one lost call does no harm. If a lease cannot be extended
in time it is lost, and its work is cancelled before it can write.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.errors import LeaseLost
from worker.messages.queue import BATCH, EntryFault, Queue, Received
from worker.resilience.sync import wait_for

VISIBILITY_CAP_S = 43_200.0
"""SQS keeps a message invisible for at most 12 hours from its receive, however often it is extended
(docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html)."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class LeasePolicy:
    """The policy of leases: how long they are, and when they are extended."""

    visibility_s: float = 120
    heartbeat_s: float = 30
    """Age at which a lease is extended, seconds; less than half of `visibility_s`."""
    cap_s: float = VISIBILITY_CAP_S

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if not 0 < self.heartbeat_s * 2 < self.visibility_s:
            raise ValueError(
                f"heartbeat_s must be less than half of visibility_s, not {self.heartbeat_s} of {self.visibility_s}"
            )

    @property
    def call_s(self) -> float:
        """Longest wait for one extension: a call that hangs must cost no more than one that is lost."""
        return self.heartbeat_s / 2

    @property
    def margin_s(self) -> float:
        """Time before its end at which a lease counts as lost; it covers clock drift and calls that are running."""
        return min(2.0, self.visibility_s / 20)


class Lease:
    """The lease on one message."""

    def __init__(self, received: Received, *, now: float, policy: LeasePolicy, clock: Callable[[], float]) -> None:
        self.received = received
        self.lost: str | None = None
        """Why the lease was lost; None while it is held."""
        self.began = now
        self.ends = now + policy.visibility_s
        self.due = now + policy.heartbeat_s
        self._policy = policy
        self._clock = clock
        self._on_lost: Callable[[], object] = lambda: None
        self.closed = False
        self.extending: asyncio.Future[None] | None = None

    def when_lost(self, action: Callable[[], object]) -> None:
        """Call `action` as soon as the lease is lost."""
        self._on_lost = action

    def check(self) -> None:
        """Raise `LeaseLost` unless the lease certainly holds. Every write is preceded by this check."""
        if self.lost is None and self._clock() >= self.ends - self._policy.margin_s:
            self.lose("expired")
        if self.lost is not None:
            raise LeaseLost(self.lost)

    def lose(self, why: str) -> None:
        """Mark the lease as lost and stop its work."""
        if self.lost is None and not self.closed:
            self.lost = why
            self._on_lost()

    def extended(self, sent: float) -> None:
        """Record an extension whose call was sent at `sent`."""
        self.ends = sent + self._policy.visibility_s
        self.due = sent + self._policy.heartbeat_s

    @property
    def at_cap(self) -> bool:
        """Whether another extension would exceed the 12 hours of SQS."""
        return self._clock() + self._policy.visibility_s >= self.began + self._policy.cap_s


class LeaseKeeper:
    """Extends every open lease until it is closed."""

    def __init__(self, queue: Queue, policy: LeasePolicy, *, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._policy = policy
        self._clock = clock
        self._leases: set[Lease] = set()
        self._earlier = asyncio.Event()
        self._wakes_at = math.inf

    @property
    def policy(self) -> LeasePolicy:
        """The policy of the leases."""
        return self._policy

    def open(self, received: Received, *, asked_at: float) -> Lease:
        """Return the lease of `received`, whose receive call started at `asked_at`, and start to extend it."""
        # A long poll may have waited, so the lease began when SQS replied: between the request and now. Counting from
        # now is right except for the time that the reply took on the network.
        now = self._clock()
        lease = Lease(
            received, now=max(asked_at, now - self._policy.margin_s / 2), policy=self._policy, clock=self._clock
        )
        self._leases.add(lease)
        if lease.due < self._wakes_at:  # rarely true; to check all leases for every message would be expensive
            self._earlier.set()
        return lease

    async def close(self, lease: Lease) -> None:
        """Stop extending `lease`. When this returns, no extension is running and none will follow."""
        lease.closed = True
        self._leases.discard(lease)
        if lease.extending is not None:
            await asyncio.shield(lease.extending)

    async def run(self) -> None:
        """Extend leases until cancelled."""
        while True:
            self._earlier.clear()
            pause = self._pause()
            await wait_for(self._earlier, pause)
            await self.keep()

    def _pause(self) -> float | None:
        self._wakes_at = min((lease.due for lease in self._leases), default=math.inf)
        return max(0.01, self._wakes_at - self._clock()) if self._leases else None

    async def keep(self) -> None:
        """Extend the leases that are due, and give up those that have ended."""
        now = self._clock()
        due: list[Lease] = []
        for lease in list(self._leases):
            if now >= lease.ends - self._policy.margin_s:
                self._give_up(lease, "expired")
            elif lease.due <= now and lease.at_cap:
                self._give_up(lease, "visibility_cap")
            elif lease.due <= now:
                due.append(lease)
        # Fill the last batch with leases that are due soon, so that leases come to share their calls.
        if due:
            soon = now + self._policy.heartbeat_s / 4
            riders = (lease for lease in self._leases if now < lease.due <= soon and not lease.at_cap)
            due += sorted(riders, key=lambda lease: lease.due)[: -len(due) % BATCH]
        batches = [due[at : at + BATCH] for at in range(0, len(due), BATCH)]
        await asyncio.gather(*(self._extend(batch) for batch in batches))

    def _give_up(self, lease: Lease, why: str) -> None:
        self._leases.discard(lease)
        lease.lose(why)

    async def _extend(self, batch: list[Lease]) -> None:
        batch = [lease for lease in batch if not lease.closed]  # it may have been closed since it became due
        if not batch:
            return
        sent = self._clock()
        under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for lease in batch:
            lease.extending = under_way
        try:
            async with asyncio.timeout(self._policy.call_s):
                faults = await self._queue.change_visibility(
                    [(lease.received.receipt_handle, self._policy.visibility_s) for lease in batch]
                )
        except Exception as error:  # noqa: BLE001 - the next round tries again while the lease lasts
            log.warning("lease.extension_failed", messages=len(batch), error=type(error).__name__)
            faults = [EntryFault("CallFailed", senders=False)] * len(batch)
        finally:
            under_way.set_result(None)
            for lease in batch:
                lease.extending = None
        for lease, fault in zip(batch, faults, strict=True):
            if fault is None:
                lease.extended(sent)
            elif fault.senders:
                self._give_up(lease, "taken")
            else:
                lease.due = self._clock() + self._policy.heartbeat_s / 8
