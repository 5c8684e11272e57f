"""The state of the load server: its options and its counts. All times are of the system's monotonic clock."""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.load_queue import Queue


@dataclass
class Load:
    """The options of a load server and its counts so far."""

    messages: int = 0
    """Number of S3 events that are on the queue from the start."""
    endless: bool = False
    """Whether the queue never runs empty."""
    paused: bool = False
    """Whether the queue seems empty."""
    visibility_s: float = 120.0
    """Visibility timeout of a receive that does not name one."""
    service_s: float = 0.0
    sigma: float = 0.0
    """Sigma of lognormal service times with the mean `service_s`. 0: constant."""
    slow_every: int = 0
    """Every n-th message takes `slow_s` instead. 0: none."""
    slow_s: float = 0.0
    nonsense_every: int = 0
    """For every n-th message, the first answer is unreadable. 0: none."""
    hold: bool = False
    """Whether answers wait until this is false again."""
    seed: int = 1
    calls: Counter[str] = field(default_factory=Counter)
    running: dict[object, tuple[float, float]] = field(default_factory=dict)
    """Start and duration of each running invocation."""
    most_running: int = 0
    served_s: float = 0.0
    """Service time of the invocations that have ended."""
    first_receive: float | None = None
    visible_at: dict[int, float] = field(default_factory=dict)
    answered_at: dict[int, float] = field(default_factory=dict)
    invoked: set[int] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)
    last_stored: float = 0.0
    before_s: list[float] = field(default_factory=list)
    """Time from visible to invoked, by invocation."""
    after_s: list[float] = field(default_factory=list)
    """Time from answered to stored, by write."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.queue = Queue(clock=time.monotonic)
        self.add(self.messages)

    def add(self, count: int) -> None:
        """Put `count` S3 events on the queue."""
        now = time.monotonic()
        for _ in range(count):
            number = len(self.visible_at) + 1
            self.visible_at[number] = now
            self.queue.send(_event(number))

    def next_service_s(self, number: int) -> float:
        """Return the service time of the next invocation."""
        if self.slow_every and number % self.slow_every == 0:
            return self.slow_s
        if not self.sigma:
            return self.service_s
        return self.service_s * self._random.lognormvariate(-(self.sigma**2) / 2, self.sigma)

    def figures(self) -> dict[str, Any]:
        """Return the counts. The latencies are those since the last call."""
        now = time.monotonic()
        before, self.before_s = self.before_s, []
        after, self.after_s = self.after_s, []
        return {
            "now": now,
            "calls": dict(self.calls),
            "deleted": self.queue.deleted,
            "visible": self.queue.visible,
            "in_flight": self.queue.in_flight,
            "running": len(self.running),
            "most_running": self.most_running,
            # A delay of this server does not count as service time.
            "served_s": self.served_s + sum(min(now - began, lasts) for began, lasts in self.running.values()),
            "first_receive": self.first_receive,
            "stored": len(self.stored),
            "last_stored": self.last_stored,
            "before_s": before,
            "after_s": after,
        }


def _event(number: int) -> str:
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-03-04T10:00:00.000Z",
        "s3": {
            "bucket": {"name": "bench"},
            "object": {"key": f"r/{number}.jpg", "size": 200_000, "eTag": "e", "sequencer": f"{number:018X}"},
        },
    }
    return json.dumps({"Records": [record]})
