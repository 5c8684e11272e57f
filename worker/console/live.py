"""A short history of the worker for charts: queue, work in progress, outcomes, latency."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.messages.queue import RedrivePolicy
from worker.telemetry import Telemetry

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

log = structlog.get_logger(__name__)

EVERY_S: Final = 2.0
KEPT: Final = 450
"""Number of samples kept: fifteen minutes."""
OUTCOMES: Final = {"extracted": "Extracted", "needs_review": "NeedsReview", "rejected": "Rejected", "failed": "Failed"}
_COUNTS: Final = {
    "ApproximateNumberOfMessages": "waiting",
    "ApproximateNumberOfMessagesNotVisible": "in_flight",
    "ApproximateNumberOfMessagesDelayed": "delayed",
}


class QueueDepth:
    """SQS's estimates of how many messages wait, are in flight, and are dead-lettered."""

    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._dead_letter_url: str | None = None

    async def read(self) -> dict[str, int | None]:
        """Return the counts. `dead_letters` is None without a dead-letter queue."""
        if self._dead_letter_url is None:  # asked again each time, because a queue may get one later
            policy = await RedrivePolicy.of(self._sqs, self._queue_url)
            self._dead_letter_url = await policy.dead_letter_url(self._sqs)
        work = await self._counts(self._queue_url)
        dead = await self._counts(self._dead_letter_url) if self._dead_letter_url else None
        return {**work, "dead_letters": None if dead is None else dead["waiting"] + dead["in_flight"]}

    async def _counts(self, url: str) -> dict[str, int]:
        names: Any = list(_COUNTS)
        answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        found: dict[Any, str] = {**answer["Attributes"]}
        return {short: int(found.get(name, 0)) for name, short in _COUNTS.items()}


class Live:
    """A sampler that records the worker's state every two seconds while it runs."""

    def __init__(
        self,
        depth: QueueDepth,
        telemetry: Telemetry,
        tasks: Callable[[], Any],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`tasks` returns an awaitable of the number of running tasks. `clock` gives seconds since the epoch."""
        self._depth = depth
        self._telemetry = telemetry
        self._tasks = tasks
        self._clock = clock
        self._before: Mapping[str, float] = {}
        self._samples: deque[dict[str, Any]] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            try:
                await self.sample()
            except (BotoCoreError, ClientError) as error:  # The chart shows an outage as a gap.
                log.debug("live.no_sample", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def sample(self) -> None:
        """Take one sample."""
        depth, tasks = await self._depth.read(), await self._tasks()
        now = self._values()
        delta = {name: value - self._before.get(name, 0.0) for name, value in now.items()} if self._before else {}
        self._before = now
        self._samples.append(
            {
                "at": round(self._clock(), 1),
                "queue": depth,
                "tasks": tasks,
                "working": int(now.get("receipts_in_flight", 0)),
                "limit": int(now.get("receipts_invocation_limit", 0)),
                "outcomes": {name: int(delta.get(f"receipts_{name}_total", 0)) for name in OUTCOMES},
                "p50_s": quantile(delta, 0.5),
                "p95_s": quantile(delta, 0.95),
            }
        )

    def report(self, *, since: float = 0) -> dict[str, Any]:
        """Return the samples after `since`, in seconds since the epoch."""
        return {"every_s": EVERY_S, "samples": [one for one in self._samples if one["at"] > since]}

    def _values(self) -> dict[str, float]:
        """Return the counters, the levels and the buckets of the total time per receipt, by name."""
        found: dict[str, float] = {}
        for family in self._telemetry.registry.collect():
            for sample in family.samples:
                if sample.name == "receipts_stage_seconds_bucket" and sample.labels["stage"] == "total":
                    found[f"le={sample.labels['le']}"] = sample.value
                elif not sample.labels:
                    found[sample.name] = sample.value
        return found


def quantile(delta: Mapping[str, float], share: float) -> float | None:
    """Return the seconds within which `share` of the receipts were done, or None if there were none.

    `delta` holds the buckets of a histogram. The result is interpolated linearly within a bucket.
    """
    buckets = sorted((float(name[3:]), count) for name, count in delta.items() if name.startswith("le="))
    if not buckets or not buckets[-1][1]:
        return None
    goal = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= goal:
            if bound == float("inf"):
                return low
            return round(low + (bound - low) * (goal - below) / max(count - below, 1e-9), 3)
        low, below = bound, count
    return low
