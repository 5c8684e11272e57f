"""How AWS and Kubernetes turn metrics into a number of tasks: the rules that a simulated policy has to live with.

Each rule is a small object that is shown one data point at a time and says what capacity it wants:

- `TargetTracking` and `StepScaling` of Application Auto Scaling, joined by `ApplicationAutoScaling`
  (docs.aws.amazon.com/autoscaling/application/userguide: target-tracking-scaling-policy-overview.html and
  step-scaling-policy-overview.html);
- `Live`, our policy as the local autoscaler runs it;
- `HorizontalPodAutoscaler`, which is what KEDA drives (kubernetes.io/docs/concepts/workloads/autoscaling);
- `Fixed`, which never acts.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from worker.workbench.scaling.plan import SCALE_IN_DATA_POINTS, SCALE_OUT_DATA_POINTS, Step
from worker.workbench.scaling.policy import Backlog, ScalingPolicy, desired_tasks, stabilised


class DataPoint(NamedTuple):
    """What can be measured at one moment."""

    visible: int
    in_flight: int
    desired: int
    running: int
    sent: int
    """Messages that came in during the minute."""
    cpu_share: float | None
    """Mean over the running tasks; None while none runs: ECS then publishes nothing."""


Metric = Callable[[DataPoint], float | None]


class Autoscaler(Protocol):
    """Decides the desired count of tasks."""

    period_s: int
    """Seconds between two decisions."""
    delayed: bool
    """Whether it sees CloudWatch's data points, which are late, or the queue as it is."""
    least: int
    """Tasks that it starts with."""

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:
        """Say how many tasks there should be, given the newest data point and the count in force."""


class Fixed:
    """Keeps what was deployed: a policy that forecasts only, or none at all."""

    period_s = 60
    delayed = True

    def __init__(self, *, tasks: int) -> None:
        self.least = tasks

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:  # noqa: ARG002 - looks at nothing
        """Stay at what was deployed."""
        return self.least


class Live:
    """Our policy asked every 15 s about the queue as it is: what the local autoscaler does, and no alarm can."""

    period_s = 15
    delayed = False

    def __init__(self, policy: ScalingPolicy, *, scale_in_after_s: float = 300) -> None:
        self.least = policy.min_tasks
        self._policy = policy
        self._scale_in_after_s = scale_in_after_s
        self._wanted: deque[tuple[float, int]] = deque()

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:  # noqa: ARG002 - the queue says everything
        """Scale out at once, in when nothing more was wanted for a while."""
        wanted = desired_tasks(Backlog(visible=point.visible, in_flight=point.in_flight), self._policy)
        self._wanted.append((now_s, wanted))
        while self._wanted[0][0] <= now_s - self._scale_in_after_s:
            self._wanted.popleft()
        return stabilised(tasks for _, tasks in self._wanted)


class TargetTracking:
    """Holds a metric at a target: out after 3 data points above it, in after 15 below nine tenths of it.

    The new capacity is the present one times metric over target, rounded up. That AWS scales in in proportion too is an
    assumption: its documents only say "more gradually".
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
        """Say the capacity wanted, `desired` itself to hold, None without data."""
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
        """Scale out; during the cooldown what the last scale-out added counts towards this one."""
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
    """Changes capacity by steps while a metric breaches; each breach acts again unless the policy is cooling down.

    One alarm and one policy, as AWS has them: a metric that has been at or above the first step for `datapoints`
    minutes adds tasks, or takes tasks away with `inward`. During the cooldown of a scale-out what it added counts
    towards the next one; during the cooldown of a scale-in nothing more is taken.
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
        """Say the capacity wanted, or None where the alarm is off."""
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
    """Make the metric's maximum over the last data points: an alarm's period that is longer than a minute."""
    recent: deque[float] = deque(maxlen=points)

    def highest(point: DataPoint) -> float | None:
        value = metric(point)
        if value is not None:
            recent.append(value)
        return max(recent, default=None)

    return highest


class ApplicationAutoScaling:
    """Joins several policies on one target: the largest capacity wins; in only when every target tracking agrees."""

    period_s = 60
    delayed = True

    def __init__(self, policies: Sequence[TargetTracking | StepScaling], *, least: int, most: int) -> None:
        self._policies = policies
        self.least = least
        self._most = most

    def decide(self, now_s: float, point: DataPoint, desired: int) -> int:
        """Ask every policy and join what they want."""
        tracked: list[int] = []
        stepped: list[int] = []
        for policy in self._policies:
            wanted = policy.wants(now_s, point, desired)
            if wanted is not None:
                (tracked if policy.tracks else stepped).append(wanted)
        highest = max([*tracked, *stepped], default=desired)
        if highest <= desired:  # a target tracking that holds keeps the others from scaling in, but not a step policy
            inward = [max(tracked)] if tracked and max(tracked) < desired else []
            highest = max([*inward, *(wanted for wanted in stepped if wanted < desired)], default=desired)
        return max(self.least, min(self._most, highest))


class HorizontalPodAutoscaler:
    """Kubernetes: messages over messages a pod, every 15 s; twice or four more at a time, in after five minutes.

    KEDA itself looks for the first message every 30 s (keda.sh: ScaledObject, pollingInterval); here it does every 15.
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
        """Ask for enough pods for what is visible and in flight; from none, KEDA itself makes the first one."""
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
