"""Models of how AWS and Kubernetes turn metrics into a number of tasks, for the simulator.

Each rule is a small object that sees one data point at a time and returns the capacity that it wants:

- `TargetTracking` and `StepScaling` of Application Auto Scaling, joined by `ApplicationAutoScaling`
  (docs.aws.amazon.com/autoscaling/application/userguide: target-tracking-scaling-policy-overview.html and
  step-scaling-policy-overview.html);
- `Live`: our policy as the local autoscaler runs it;
- `HorizontalPodAutoscaler`: the autoscaler that KEDA drives (kubernetes.io/docs/concepts/workloads/autoscaling);
- `Fixed`: a constant number of tasks.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from worker.workbench.scaling.plan import SCALE_IN_DATA_POINTS, SCALE_OUT_DATA_POINTS, Step
from worker.workbench.scaling.policy import Backlog, ScalingPolicy, desired_tasks, stabilised


class DataPoint(NamedTuple):
    """The measurements at one moment."""

    visible: int
    in_flight: int
    desired: int
    running: int
    sent: int
    """Messages sent to the queue during the minute."""
    cpu_share: float | None
    """Mean over the running tasks; None if none runs, because ECS then publishes nothing."""


Metric = Callable[[DataPoint], float | None]


class Autoscaler(Protocol):
    """A rule that decides the desired number of tasks."""

    period_s: int
    """Seconds between two decisions."""
    delayed: bool
    """Whether it sees CloudWatch's data points, which are late, or the current state of the queue."""
    least: int
    """Number of tasks at the start."""

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:
        """Return how many tasks should run, given the newest data point and the current desired count."""


class Fixed:
    """A constant number of tasks: a policy that only forecasts, or no policy."""

    period_s = 60
    delayed = True

    def __init__(self, *, tasks: int) -> None:
        self.least = tasks

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:  # noqa: ARG002 - the number is constant
        """Return the constant number."""
        return self.least


class Live:
    """Our policy, applied every 15 s to the current queue. The local autoscaler works like this; no alarm can."""

    period_s = 15
    delayed = False

    def __init__(self, policy: ScalingPolicy, *, scale_in_after_s: float = 300) -> None:
        self.least = policy.min_tasks
        self._policy = policy
        self._scale_in_after_s = scale_in_after_s
        self._wanted: deque[tuple[float, int]] = deque()

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:  # noqa: ARG002 - the queue alone decides
        """Scale out immediately, and in once fewer tasks have been enough for a while."""
        wanted = desired_tasks(Backlog(visible=point.visible, in_flight=point.in_flight), self._policy)
        self._wanted.append((now_s, wanted))
        while self._wanted[0][0] <= now_s - self._scale_in_after_s:
            self._wanted.popleft()
        return stabilised(tasks for _, tasks in self._wanted)


class TargetTracking:
    """Target tracking: scales out after 3 data points above the target, and in after 15 below nine tenths of it.

    The new capacity is the current one times metric over target, rounded up. Scaling in proportionally is an
    assumption: AWS only documents that it is "more gradual".
    """

    tracks = True

    def __init__(
        self, metric: Metric, *, target: float, out_cooldown_s: float = 300, in_cooldown_s: float = 300
    ) -> None:
        self._metric = metric
        self._target = target
        self._out_cooldown_s = out_cooldown_s
        self._in_cooldown_s = in_cooldown_s
        self._above = self._below = 0
        self._out_at = self._in_at = -math.inf
        self._before_out = 0

    def wants(self, now_s: float, point: DataPoint, desired: int) -> int | None:
        """Return the wanted capacity: `desired` to keep it, None without data."""
        value = self._metric(point)
        if value is None:
            self._above = self._below = 0
            return None
        self._above = self._above + 1 if value > self._target else 0
        self._below = self._below + 1 if value < 0.9 * self._target else 0
        if self._above >= SCALE_OUT_DATA_POINTS:
            return self._out(now_s, value, desired)
        if self._below >= SCALE_IN_DATA_POINTS and now_s >= max(self._in_at, self._out_at) + self._in_cooldown_s:
            lower = math.ceil(desired * value / self._target - 1e-9)
            if lower < desired:
                self._in_at = now_s
            return lower
        return desired

    def _out(self, now_s: float, value: float, desired: int) -> int:
        """Scale out. During the cooldown, the tasks that the last scale-out added count towards this one."""
        cooling = now_s < self._out_at + self._out_cooldown_s
        base = self._before_out if cooling else desired
        wanted = math.ceil(max(base, 1) * value / self._target - 1e-9)
        if wanted <= desired:
            return desired
        if not cooling:
            self._before_out = desired
        self._out_at = now_s
        return wanted


class StepScaling:
    """Step scaling: changes capacity by steps while a metric breaches. Each breach acts again, except in the cooldown.

    It models one alarm and one policy. A metric that has been at or above the first step for `datapoints` minutes adds
    tasks, or removes them with `inward`. During the cooldown of a scale-out, the tasks that it added count towards the
    next one. During the cooldown of a scale-in, no more tasks are removed.
    """

    tracks = False

    def __init__(
        self,
        metric: Metric,
        *,
        steps: Sequence[Step],
        cooldown_s: float = 300,
        datapoints: int = 1,
        inward: bool = False,
    ) -> None:
        self._metric = metric
        self._steps = steps
        self._cooldown_s = cooldown_s
        self._datapoints = datapoints
        self._inward = inward
        self._breached = 0
        self._acted_at = -math.inf
        self._added = 0

    def wants(self, now_s: float, point: DataPoint, desired: int) -> int | None:
        """Return the wanted capacity, or None if the alarm is off."""
        value = self._metric(point)
        if value is None or value < self._steps[0].from_tasks:
            self._breached = 0
            return None
        self._breached += 1
        cooling = now_s < self._acted_at + self._cooldown_s
        if self._breached < self._datapoints or (self._inward and cooling):
            return None
        step = next(s for s in reversed(self._steps) if value >= s.from_tasks)
        if self._inward:
            self._acted_at = now_s
            return desired - step.tasks
        more = step.tasks - (self._added if cooling else 0)
        if more <= 0:
            return None
        self._acted_at = now_s
        self._added = step.tasks
        return desired + more


def highest_of(points: int, metric: Metric) -> Metric:
    """Return the maximum of `metric` over the last `points` data points, as a metric: an alarm with a longer period."""
    recent: deque[float] = deque(maxlen=points)

    def highest(point: DataPoint) -> float | None:
        value = metric(point)
        if value is not None:
            recent.append(value)
        return max(recent, default=None)

    return highest


class ApplicationAutoScaling:
    """Several policies on one target. The largest capacity wins; scale-in needs the consent of all target tracking."""

    period_s = 60
    delayed = True

    def __init__(self, policies: Sequence[TargetTracking | StepScaling], *, least: int, most: int) -> None:
        self._policies = policies
        self.least = least
        self._most = most

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:
        """Combine the wishes of all policies."""
        tracked: list[int] = []
        stepped: list[int] = []
        for policy in self._policies:
            wanted = policy.wants(now_s, point, desired)
            if wanted is not None:
                (tracked if policy.tracks else stepped).append(wanted)
        highest = max([*tracked, *stepped], default=desired)
        if highest <= desired:  # a target tracking that keeps its capacity stops others from scaling in, except steps
            inward = [max(tracked)] if tracked and max(tracked) < desired else []
            highest = max([*inward, *(wanted for wanted in stepped if wanted < desired)], default=desired)
        return max(self.least, min(self._most, highest))


class HorizontalPodAutoscaler:
    """Kubernetes: messages over messages per pod, every 15 s. Doubles or adds four at a time; in after five minutes.

    KEDA polls for the first message every 30 s (keda.sh: ScaledObject, pollingInterval); this model does every 15.
    """

    period_s = 15
    delayed = False
    TOLERANCE = 0.1
    STABILISATION_S = 300

    def __init__(self, *, messages_per_pod: float, least: int, most: int) -> None:
        self._messages_per_pod = messages_per_pod
        self.least = least
        self._most = most
        self._wanted: deque[tuple[float, int]] = deque()

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:
        """Return enough pods for all messages, visible and in flight. From zero, KEDA itself starts the first one."""
        messages = point.visible + point.in_flight
        wanted = math.ceil(messages / self._messages_per_pod)
        if desired and abs(messages / self._messages_per_pod / desired - 1) <= self.TOLERANCE:
            wanted = desired
        wanted = max(self.least, min(self._most, wanted))
        self._wanted.append((now_s, wanted))
        while self._wanted[0][0] <= now_s - self.STABILISATION_S:
            self._wanted.popleft()
        if desired == 0:
            return min(wanted, 1)
        if wanted > desired:
            return min(wanted, max(2 * desired, desired + 4))
        return min(desired, max(tasks for _, tasks in self._wanted))
