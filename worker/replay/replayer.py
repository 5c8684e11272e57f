"""Replay: enqueue uploads again, each once per replay id.

Choosing and counting the uploads changes nothing. A run then stores them in the manifest and sends them in batches of
up to ten. It stores its progress after each batch that SQS accepts. An interrupted run finishes its batch.

A run that is killed between SQS's answer and the stored progress leaves one batch in doubt. The next run checks the
table for uploads of that batch that were processed, and sends the others again. The worker answers each content only
once per replay id, so a duplicate message causes no second call of the endpoint.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_fixed

from worker.errors import ReceiptsError
from worker.messages.parse import replay_body
from worker.messages.queue import Entry, Queue
from worker.receipts.document import Upload
from worker.replay.manifest import LEASE_S, MOST_AT_A_TIME, Manifest, ManifestEntry, ReplayBusy
from worker.replay.sources import batches
from worker.resilience.sync import finish_within
from worker.results.query import Results
from worker.results.selection import BadQuery

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

SEND_TRIES: Final = 5
FINISH_S: Final = 60.0
"""Time limit for finishing a batch after the run is cancelled, seconds."""
MIN_RATE: Final = 0.2
MAX_RATE: Final = 10_000.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_id(now: datetime) -> str:
    """Return a new replay id that starts with the time `now`."""
    return f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def checked_id(text: str) -> str:
    """Return `text` if it is a valid replay id. Raises `BadQuery` if not."""
    if not _ID.fullmatch(text):
        raise BadQuery(
            "the replay id is not valid: use 1 to 100 letters, digits, dots, dashes and underscores, and start with a "
            "letter or digit"
        )
    return text


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The rate at which uploads are enqueued."""

    per_s: float
    """Messages per second."""

    def __post_init__(self) -> None:
        """Raise `BadQuery` if the rate is out of range."""
        if not MIN_RATE <= self.per_s <= MAX_RATE:
            raise BadQuery(
                f"the rate must be between {MIN_RATE:g} and {MAX_RATE:g} messages per second, not {self.per_s:g}"
            )

    @property
    def batch(self) -> int:
        """Messages per call: at most two seconds' worth, so that a slow replay keeps its lease."""
        return max(1, min(MOST_AT_A_TIME, int(self.per_s * 2)))

    def wait_s(self, sent: int, elapsed_s: float) -> float:
        """Return the seconds to wait before the next batch, after `sent` messages in `elapsed_s` seconds."""
        return max(0.0, sent / self.per_s - elapsed_s)


class Replayer:
    """A sender of the uploads in a manifest."""

    def __init__(
        self,
        *,
        sqs: "SQSClient",
        queue_url: str,
        results: Results,
        manifest: Manifest,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds since any fixed time."""
        self._queue = Queue(sqs, queue_url)
        self._results = results
        self._manifest = manifest
        self._sleep = sleep
        self._clock = clock

    async def run(
        self,
        replay_id: str,
        *,
        pace: Pace,
        stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[ManifestEntry], None] = lambda _: None,
        patience_s: float = 2 * LEASE_S,
    ) -> ManifestEntry:
        """Enqueue the remaining uploads of `replay_id`, or stop early if `stopping()`, and return the final entry.

        If another run is active, wait up to `patience_s` seconds for its end or for its lease to end, then raise
        `ReplayBusy`.
        """
        entry = await self._acquire(replay_id, patience_s)
        begun, before = self._clock(), entry.sent
        try:
            on_progress(entry)
            async for batch in batches(self._manifest.uploads(entry), pace.batch):
                await self._sleep(pace.wait_s(entry.sent - before, self._clock() - begun))
                if stopping():
                    break
                # A batch that is being sent is finished and stored even if this task is cancelled.
                entry = await finish_within(FINISH_S, self._send(entry, batch))
                on_progress(entry)
        finally:
            await finish_within(FINISH_S, self._manifest.release(entry))
        return entry

    async def _acquire(self, replay_id: str, patience_s: float) -> ManifestEntry:
        until = self._clock() + patience_s
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(ReplayBusy),
            wait=wait_fixed(1.0),
            stop=lambda _: self._clock() >= until,
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(self._manifest.acquire, replay_id)

    async def _send(self, entry: ManifestEntry, batch: Sequence[Upload]) -> ManifestEntry:
        """Send `batch`, the next of `entry`, and store the progress. Raises `ReceiptsError` if SQS keeps refusing."""
        end = entry.sent + len(batch)
        beyond = tuple(place for place in entry.ahead if place >= end)
        done = {place - entry.sent for place in entry.ahead if place < end}
        if entry.sent < entry.doubt_until:
            done |= await self._worked_on(entry, batch)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Refused),
            wait=wait_exponential(multiplier=0.4),
            stop=stop_after_attempt(SEND_TRIES),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            await retrying(self._send_rest, batch, done)
        except _Refused as refused:
            ahead = tuple(sorted(entry.sent + place for place in done)) + beyond
            await self._manifest.advance(entry, sent=entry.sent, ahead=ahead)
            raise ReceiptsError(
                f"SQS refused {len(batch) - len(done)} messages in {SEND_TRIES} attempts ({refused}). "
                "Run the replay again."
            ) from refused
        return await self._manifest.advance(entry, sent=end, ahead=beyond)

    async def _send_rest(self, batch: Sequence[Upload], done: set[int]) -> None:
        """Send the uploads of `batch` whose positions are not in `done`, and add those that SQS accepts to `done`."""
        left = [place for place in range(len(batch)) if place not in done]
        if not left:
            return
        faults = await self._queue.send([Entry(replay_body(batch[place])) for place in left])
        done |= {place for place, fault in zip(left, faults, strict=True) if fault is None}
        if codes := sorted({fault.code for fault in faults if fault}):
            raise _Refused(", ".join(codes))

    async def _worked_on(self, entry: ManifestEntry, batch: Sequence[Upload]) -> set[int]:
        """Return the positions in `batch` whose record comes from this replay, so that they were enqueued before."""
        found = await self._results.get_many(upload.document for upload in batch)
        records = [found.get(upload.document) for upload in batch]
        return {at for at, record in enumerate(records) if record and record.replay_id == entry.replay_id}


class _Refused(Exception):
    """SQS refused some messages of a batch; the text lists its error codes."""
