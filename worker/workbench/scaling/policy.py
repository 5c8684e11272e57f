"""How many tasks the fleet should have, decided from the queue alone.

A worker that waits for a GPU uses hardly any CPU, so CPU says nothing about the work that is waiting. The queue does.
Two counts are enough: each message in flight holds one slot for `receipt_s`, and the messages that wait have to pass
through slots within `acceptable_latency_s`, which takes `receipt_s / acceptable_latency_s` of a slot each (Little's
law). The sum, in slots, over the slots of a task is the fleet.

Counting what is in flight is what keeps a fleet that copes from being taken away: at constant load nothing waits, and
a policy that looks at waiting messages alone scales in until something does, then out again.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from worker.workbench.scaling.ranges import require, require_whole

MAX_TASKS = 5_000
"""Tasks a service may have (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html)."""

MAX_SLOTS = 1_000
"""More slots than this in one Python process is a mistake, not a plan."""

MAX_IN_FLIGHT = 120_000
"""Messages in flight of a standard queue; at that SQS hands out no more, and says nothing
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html)."""

_ROUNDING = 1e-9
"""Slots: a binary float that is this little above a whole number of tasks asks for no further task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the queue holds: SQS's ApproximateNumberOfMessagesVisible and …NotVisible."""

    visible: int
    """Messages that wait to be received."""
    in_flight: int
    """Messages received and not yet deleted: each one holds a slot of some task."""

    def __post_init__(self) -> None:
        require("visible", self.visible, low=0)
        require("in_flight", self.in_flight, low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """What an operator decides about the fleet; refuses, with a ValueError, numbers that cannot work together."""

    receipt_s: float
    """Mean seconds a receipt holds a slot: fetch, prepare, invoke, store."""
    slots_per_task: int = 32
    """Receipts that one task works on at a time."""
    acceptable_latency_s: float = 60.0
    """Seconds within which the fleet is sized to clear what waits."""
    busy_share: float = 0.8
    """Share of a task's slots meant to be busy at steady load; the rest takes up what is random in arrivals."""
    endpoint_receipts_per_s: float | None = None
    """Receipts a second that the endpoint gives at its largest; None where it is not the limit."""
    min_tasks: int = 0
    """The fleet never goes below this; 0 lets it go away when there is nothing to do."""
    max_tasks: int = 10
    """The fleet never goes above this."""

    def __post_init__(self) -> None:
        require("receipt_s", self.receipt_s, low=0, high=43_200, above=True)
        require_whole("slots_per_task", self.slots_per_task, low=1, high=MAX_SLOTS)
        require("acceptable_latency_s", self.acceptable_latency_s, low=0, high=1_209_600, above=True)
        if self.acceptable_latency_s < self.receipt_s:
            raise ValueError(
                f"acceptable_latency_s is {self.acceptable_latency_s:.10g}; "
                f"a receipt alone takes receipt_s, {self.receipt_s:.10g}, and no fleet is faster"
            )
        require("busy_share", self.busy_share, low=0.1, high=1)
        if self.endpoint_receipts_per_s is not None:
            require("endpoint_receipts_per_s", self.endpoint_receipts_per_s, low=0, above=True)
        require_whole("max_tasks", self.max_tasks, low=1, high=MAX_TASKS)
        require_whole("min_tasks", self.min_tasks, low=0, high=self.max_tasks)

    @property
    def slots_used_per_task(self) -> float:
        """Slots of a task that the fleet is sized for."""
        return self.slots_per_task * self.busy_share

    @property
    def backlog_per_task(self) -> float:
        """Waiting messages that one task clears within the acceptable latency: the target of target tracking."""
        return self.acceptable_latency_s * self.slots_used_per_task / self.receipt_s

    @property
    def in_flight_weight(self) -> float:
        """Waiting messages that one message in flight counts for: it needs a whole slot, a waiting one a part of it."""
        return self.acceptable_latency_s / self.receipt_s

    @property
    def receipts_per_s_per_task(self) -> float:
        """What one task gets through at the share of its slots that it is sized for."""
        return self.slots_used_per_task / self.receipt_s

    @property
    def most_tasks(self) -> int:
        """Tasks above which nothing is gained: `max_tasks`, or as many as the endpoint or the queue can keep busy."""
        most = min(self.max_tasks, MAX_IN_FLIGHT // self.slots_per_task)
        if self.endpoint_receipts_per_s is not None:
            fed = _tasks_for(self.endpoint_receipts_per_s * self.receipt_s, self.slots_used_per_task)
            most = min(most, max(fed, 1))
        return max(self.min_tasks, most)


def desired_tasks(backlog: Backlog, policy: ScalingPolicy) -> int:
    """Tell how many tasks the fleet should have.

    Never below `policy.min_tasks` nor above `policy.most_tasks`, never fewer for more messages, at least one as soon as
    there is a message at all, and `policy.min_tasks` when there is none.
    """
    slots = backlog.in_flight + backlog.visible * policy.receipt_s / policy.acceptable_latency_s
    wanted = _tasks_for(slots, policy.slots_used_per_task)
    if backlog.visible or backlog.in_flight:
        wanted = max(wanted, 1)
    return max(policy.min_tasks, min(policy.most_tasks, wanted))


def stabilised(recent: Iterable[int]) -> int:
    """Tell how many tasks to run from the numbers desired of late: out at once, in only when all of them agree."""
    return max(recent)


def _tasks_for(slots: float, slots_per_task: float) -> int:
    return math.ceil(slots / slots_per_task - _ROUNDING)
