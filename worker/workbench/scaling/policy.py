"""The number of tasks that the fleet should have, decided from the queue alone.

A worker that waits for a GPU uses little CPU, so CPU does not show how much work is waiting. The queue does, and two
counts are enough. Each message in flight holds one slot for `receipt_s`. Waiting messages must pass through slots
within `acceptable_latency_s`, which takes `receipt_s / acceptable_latency_s` of a slot each (Little's law). The sum of
both in slots, over the slots per task, is the size of the fleet.

Counting messages in flight keeps a sufficient fleet running. At constant load nothing waits, so a policy that sees
only waiting messages would scale in until some wait, then out again.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from worker.workbench.scaling.ranges import require, require_whole

MAX_TASKS = 5_000
"""Quota of tasks per service (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html)."""

MAX_SLOTS = 1_000
"""More slots than this in one Python process is certainly a mistake."""

MAX_IN_FLIGHT = 120_000
"""Quota of messages in flight per standard queue; beyond it, SQS silently delivers no more messages
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html)."""

_ROUNDING = 1e-9
"""A float that exceeds a whole number of tasks by at most this is rounded down to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The contents of the queue: SQS's ApproximateNumberOfMessagesVisible and …NotVisible."""

    visible: int
    """Messages that wait to be received."""
    in_flight: int
    """Messages received and not yet deleted; each one holds a slot of a task."""

    def __post_init__(self) -> None:
        require("visible", self.visible, low=0)
        require("in_flight", self.in_flight, low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """An operator's decisions about the fleet. Raises ValueError for numbers that cannot work together."""

    receipt_s: float
    """Mean seconds for which a receipt holds a slot: fetch, prepare, invoke, store."""
    slots_per_task: int = 32
    """Receipts that one task processes concurrently."""
    acceptable_latency_s: float = 60.0
    """Seconds within which the fleet is sized to clear the backlog."""
    busy_share: float = 0.8
    """Target share of busy slots at steady load; the rest absorbs random arrivals."""
    endpoint_receipts_per_s: float | None = None
    """Receipts per second of the endpoint at its largest size; None if it is not the limit."""
    min_tasks: int = 0
    """Smallest number of tasks; 0 allows an idle fleet to stop entirely."""
    max_tasks: int = 10
    """Largest number of tasks."""

    def __post_init__(self) -> None:
        require("receipt_s", self.receipt_s, low=0, high=43_200, above=True)
        require_whole("slots_per_task", self.slots_per_task, low=1, high=MAX_SLOTS)
        require("acceptable_latency_s", self.acceptable_latency_s, low=0, high=1_209_600, above=True)
        if self.acceptable_latency_s < self.receipt_s:
            raise ValueError(
                f"acceptable_latency_s is {self.acceptable_latency_s:.10g}; "
                f"it must be at least receipt_s, {self.receipt_s:.10g}, the time of one receipt"
            )
        require("busy_share", self.busy_share, low=0.1, high=1)
        if self.endpoint_receipts_per_s is not None:
            require("endpoint_receipts_per_s", self.endpoint_receipts_per_s, low=0, above=True)
        require_whole("max_tasks", self.max_tasks, low=1, high=MAX_TASKS)
        require_whole("min_tasks", self.min_tasks, low=0, high=self.max_tasks)

    @property
    def slots_used_per_task(self) -> float:
        """Slots per task that are busy at the target share."""
        return self.slots_per_task * self.busy_share

    @property
    def backlog_per_task(self) -> float:
        """Waiting messages that one task clears within the acceptable latency: the target of target tracking."""
        return self.acceptable_latency_s * self.slots_used_per_task / self.receipt_s

    @property
    def in_flight_weight(self) -> float:
        """Waiting messages that one message in flight counts for. It needs a whole slot, a waiting one only a part."""
        return self.acceptable_latency_s / self.receipt_s

    @property
    def receipts_per_s_per_task(self) -> float:
        """Throughput of one task at the target share of busy slots."""
        return self.slots_used_per_task / self.receipt_s

    @property
    def most_tasks(self) -> int:
        """Largest useful number of tasks: `max_tasks`, or as many as endpoint and queue can keep busy."""
        most = min(self.max_tasks, MAX_IN_FLIGHT // self.slots_per_task)
        if self.endpoint_receipts_per_s is not None:
            fed = _tasks_for(self.endpoint_receipts_per_s * self.receipt_s, self.slots_used_per_task)
            most = min(most, max(fed, 1))
        return max(self.min_tasks, most)


def desired_tasks(backlog: Backlog, policy: ScalingPolicy) -> int:
    """Return how many tasks the fleet should have.

    The number lies between `policy.min_tasks` and `policy.most_tasks` and never falls when messages are added. It is
    at least one if there is a message, and `policy.min_tasks` if there is none.
    """
    slots = backlog.in_flight + backlog.visible * policy.receipt_s / policy.acceptable_latency_s
    wanted = _tasks_for(slots, policy.slots_used_per_task)
    if backlog.visible or backlog.in_flight:
        wanted = max(wanted, 1)
    return max(policy.min_tasks, min(policy.most_tasks, wanted))


def stabilised(recent: Iterable[int]) -> int:
    """Return how many tasks to run, given the recently desired numbers: out immediately, in only if all agree."""
    return max(recent)


def _tasks_for(slots: float, slots_per_task: float) -> int:
    return math.ceil(slots / slots_per_task - _ROUNDING)
