"""Settlement: turns outcomes into deletes, visibility changes and dead-letter sends. No other module does.

Calls of one kind are batched: the first entry waits a moment for others, up to ten. An entry that failed for a passing
reason is sent again. A message that cannot be settled returns when its visibility ends, and the worker then answers it
from the table.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog

from worker.errors import DependencyFault
from worker.messages.outcomes import DeadLetter, Done, Outcome, Reject, Release, Retry
from worker.messages.queue import BATCH, MAX_MESSAGE_BYTES, DeadLetterEntry, EntryFault, Queue, Received
from worker.resilience.backoff import full_jitter
from worker.resilience.faults import classify
from worker.resilience.sync import wait_for

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SettlementPolicy:
    """The policy of settlement: batching, retries and backoff."""

    linger_s: float = 0.05
    """Time that the first entry of a batch waits for others, seconds."""
    attempts: int = 6
    """Attempts to settle one entry."""
    base_s: float = 0.2
    cap_s: float = 5.0
    backoff_base_s: float = 5.0
    """Backoff of a failed receipt after its first receive, seconds."""
    backoff_cap_s: float = 900.0


@dataclass(frozen=True)
class Change:
    """A change of one message: delete it, or make it visible after `visibility_s` seconds."""

    received: Received
    visibility_s: float | None = None
    """None deletes."""


@dataclass
class _Pending:
    what: Change | DeadLetterEntry
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Whether SQS made the change; False if settlement gave up."""

    @property
    def kind(self) -> str:
        """The kind of call that it can share with others."""
        match self.what:
            case DeadLetterEntry():
                return "dead_letter"
            case Change(visibility_s=None):
                return "delete"
            case Change():
                return "change_visibility"


class Settler:
    """Acknowledges, hands back and dead-letters messages, in batches."""

    def __init__(
        self,
        queue: Queue,
        policy: SettlementPolicy,
        *,
        rng: random.Random | None = None,
        on_unsettled: Callable[[Received], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._policy = policy
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._on_unsettled = on_unsettled
        self._pending: deque[_Pending] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._flushing = False
        self._calls: set[asyncio.Task[None]] = set()

    async def settle(self, received: Received, outcome: Outcome) -> None:
        """Settle the message as `outcome` says; return when SQS has confirmed it, or when settlement gave up."""
        change = await self._change(received, outcome)
        if not await self._do(change):
            self._on_unsettled(received)

    async def _do(self, what: Change | DeadLetterEntry) -> bool:
        """Put `what` into the next batch; return whether SQS made the change."""
        pending = _Pending(what)
        self._pending.append(pending)
        self._arrived.set()
        if len(self._pending) >= BATCH:
            self._full.set()
        return await pending.done

    async def _change(self, received: Received, outcome: Outcome) -> Change:
        match outcome:
            case Done() | Reject():
                return Change(received)
            case Retry():
                # After its last receive, SQS moves the message to the dead-letter queue as soon as it is visible.
                last = self._queue.is_last_receive(received)
                return Change(received, 0 if last else self._backoff_s(received.receives))
            case Release():
                return Change(received, 0)
            case DeadLetter(reason=reason):
                return await self._dead_letter(received, reason)

    def _backoff_s(self, receives: int) -> float:
        policy = self._policy
        return full_jitter(receives, base_s=policy.backoff_base_s, cap_s=policy.backoff_cap_s, rng=self._rng)

    async def _dead_letter(self, received: Received, reason: str) -> Change:
        """Send to the dead-letter queue and only then delete the message; if that fails, the message returns later."""
        if self._queue.dead_letter_url is None:
            log.critical("settlement.no_dead_letter_queue", message_id=received.message_id, reason=reason)
        elif await self._do(DeadLetterEntry.of(received, reason)):
            return Change(received)
        return Change(received, self._backoff_s(received.receives))

    async def run(self) -> None:
        """Send batches until cancelled; call `flush` first, because calls that are running are then cancelled."""
        try:
            await self._send_batches()
        finally:
            for call in self._calls:
                call.cancel()

    async def _send_batches(self) -> None:
        while True:
            await self._arrived.wait()
            if len(self._pending) < BATCH and not self._flushing:
                await wait_for(self._full, self._policy.linger_s)
            self._arrived.clear()
            self._full.clear()
            self._send_pending()

    async def flush(self) -> None:
        """Send everything that is pending at once, and wait until it is settled or given up."""
        self._flushing = True
        while self._pending or self._calls:
            self._send_pending()
            await asyncio.gather(*self._calls)

    def _send_pending(self) -> None:
        waiting: dict[str, list[_Pending]] = {}
        while self._pending:
            pending = self._pending.popleft()
            waiting.setdefault(pending.kind, []).append(pending)
        for kind, some in waiting.items():
            for batch in _batches(some):
                call = asyncio.create_task(self._send(kind, batch), name="settlement")
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def _send(self, kind: str, batch: list[_Pending]) -> None:
        """Send one batch again and again until each entry is settled or given up."""
        attempts = 0
        while batch:
            faults = await self._call(kind, [pending.what for pending in batch])
            attempts += 1
            left = []
            for pending, fault in zip(batch, faults, strict=True):
                if pending.done.done():
                    continue  # the message's handler was cancelled
                if fault is None:
                    pending.done.set_result(True)
                elif fault.senders or attempts >= self._policy.attempts:
                    log.warning("settlement.given_up", kind=kind, code=fault.code, attempts=attempts)
                    pending.done.set_result(False)
                else:
                    left.append(pending)
            batch = left
            if batch:
                pause = full_jitter(attempts, base_s=self._policy.base_s, cap_s=self._policy.cap_s, rng=self._rng)
                await asyncio.sleep(pause)

    async def _call(self, kind: str, batch: Sequence[Change | DeadLetterEntry]) -> list[EntryFault | None]:
        dead_letters = [each for each in batch if isinstance(each, DeadLetterEntry)]
        changes = [(each.received.receipt_handle, each.visibility_s or 0) for each in batch if isinstance(each, Change)]
        try:
            if kind == "dead_letter":
                return await self._queue.dead_letter(dead_letters)
            if kind == "delete":
                return await self._queue.delete([handle for handle, _ in changes])
            return await self._queue.change_visibility(changes)
        except Exception as error:  # noqa: BLE001 - the whole call failed: every entry is sent again
            log.warning("settlement.call_failed", kind=kind, entries=len(batch), error=_name(error))
            return [EntryFault("CallFailed", senders=False)] * len(batch)


def _batches(pending: list[_Pending]) -> Iterator[list[_Pending]]:
    """Split pending entries of one kind into batches that one call takes: ten entries, one megabyte."""
    batch: list[_Pending] = []
    size = 0
    for each in pending:
        more = each.what.size if isinstance(each.what, DeadLetterEntry) else 0
        if len(batch) == BATCH or (batch and size + more > MAX_MESSAGE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += more
    if batch:
        yield batch


def _name(error: Exception) -> str:
    known = classify("sqs", error)
    return known.reason if isinstance(known, DependencyFault) else type(error).__name__
