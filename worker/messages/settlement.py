"""Settlement: turns an outcome into a delete, a visibility change or a dead-letter send. Nothing else does.

Deletes, visibility changes and dead letters wait a moment for company, up to ten in a call. Entries are told apart by
their position; one that failed through no fault of its own is tried again; what cannot be settled comes back by itself
when its visibility ends, and is answered from the table then.
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
from worker.resilience.faults import classify

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SettlementPolicy:
    """How settlement batches, retries and backs off."""

    linger_s: float = 0.05
    """How long the first of a batch waits for others."""
    attempts: int = 6
    """Tries of one entry."""
    base_s: float = 0.2
    cap_s: float = 5.0
    backoff_base_s: float = 5.0
    """Backoff of a failed receipt after its first receive."""
    backoff_cap_s: float = 900.0


@dataclass(frozen=True)
class Change:
    """What is done to one message: deleted, or made visible after `visibility_s` seconds."""

    received: Received
    visibility_s: float | None = None
    """None deletes."""


def backoff_s(receives: int, *, base_s: float, cap_s: float, rng: random.Random) -> float:
    """Return how long a message that was received `receives` times stays away: full jitter, doubling, capped."""
    return rng.uniform(0, min(cap_s, base_s * 2.0 ** min(receives - 1, 60)))


@dataclass
class _Pending:
    what: Change | DeadLetterEntry
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Whether SQS has done it, or it was given up."""
    attempts: int = 0

    @property
    def kind(self) -> str:
        """What calls it can share."""
        match self.what:
            case DeadLetterEntry():
                return "dead_letter"
            case Change(visibility_s=None):
                return "delete"
            case Change():
                return "change_visibility"


class Settler:
    """The one place where messages are acknowledged, handed back and dead-lettered."""

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
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._on_unsettled = on_unsettled
        self._pending: deque[_Pending] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._flushing = False
        self._calls: set[asyncio.Task[None]] = set()

    async def settle(self, received: Received, outcome: Outcome) -> None:
        """Do to the message what `outcome` asks for; returns when SQS has it, or when it has to be left to SQS."""
        change = await self._change(received, outcome)
        if not await self._do(change):
            self._on_unsettled(received)

    async def _do(self, what: Change | DeadLetterEntry) -> bool:
        """Hand `what` to the next batch; return whether SQS did it in the end."""
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
            case Retry(after_s=after_s):
                if self._is_last(received):
                    return Change(received, 0)  # SQS moves it to the dead-letter queue when it would be received again
                return Change(received, self._backoff_s(received.receives) if after_s is None else after_s)
            case Release():
                return Change(received, 0)
            case DeadLetter(reason=reason):
                return await self._dead_letter(received, reason)

    def _is_last(self, received: Received) -> bool:
        most = self._queue.max_receive_count
        return most is not None and received.receives >= most

    def _backoff_s(self, receives: int) -> float:
        policy = self._policy
        return backoff_s(receives, base_s=policy.backoff_base_s, cap_s=policy.backoff_cap_s, rng=self._rng)

    async def _dead_letter(self, received: Received, reason: str) -> Change:
        """Send to the dead-letter queue; only then is the message deleted, else it stays and comes back."""
        if self._queue.dead_letter_url is None:
            log.critical("settlement.no_dead_letter_queue", message_id=received.message_id, reason=reason)
        elif await self._do(DeadLetterEntry.of(received, reason)):
            return Change(received)
        return Change(received, self._backoff_s(received.receives))

    async def run(self) -> None:
        """Send batches for ever; cancelled at the end, after `flush`."""
        while True:
            await self._arrived.wait()
            if len(self._pending) < BATCH and not self._flushing:
                try:
                    async with asyncio.timeout(self._policy.linger_s):
                        await self._full.wait()
                except TimeoutError:
                    pass
            self._arrived.clear()
            self._full.clear()
            self._send_pending()

    async def flush(self) -> None:
        """Send what is pending at once and wait until all of it is settled or given up."""
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
        """Send one batch until each entry is settled or given up."""
        attempt = 0
        while batch:
            faults = await self._call(kind, [pending.what for pending in batch])
            left = []
            for pending, fault in zip(batch, faults, strict=True):
                pending.attempts += 1
                if fault is None:
                    pending.done.set_result(True)
                elif fault.senders or pending.attempts >= self._policy.attempts:
                    log.warning("settlement.given_up", kind=kind, code=fault.code, attempts=pending.attempts)
                    pending.done.set_result(False)
                else:
                    left.append(pending)
            batch = left
            if batch:
                await self._pause(attempt)
                attempt += 1

    async def _call(self, kind: str, batch: Sequence[Change | DeadLetterEntry]) -> list[EntryFault | None]:
        letters = [each for each in batch if isinstance(each, DeadLetterEntry)]
        changes = [(each.received.receipt_handle, each.visibility_s or 0) for each in batch if isinstance(each, Change)]
        try:
            if kind == "dead_letter":
                return await self._queue.dead_letter(letters)
            if kind == "delete":
                return await self._queue.delete([handle for handle, _ in changes])
            return await self._queue.change_visibility(changes)
        except Exception as error:  # noqa: BLE001 - the call failed as a whole: every entry is tried again
            log.warning("settlement.call_failed", kind=kind, entries=len(batch), error=_name(error))
            return [EntryFault("CallFailed", senders=False)] * len(batch)

    async def _pause(self, attempt: int) -> None:
        longest = min(self._policy.cap_s, self._policy.base_s * 2.0**attempt)
        await asyncio.sleep(self._rng.uniform(0, longest))


def _batches(pending: list[_Pending]) -> Iterator[list[_Pending]]:
    """Cut what is pending, all of one kind, into what one call takes: ten entries, and letters of a megabyte."""
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
