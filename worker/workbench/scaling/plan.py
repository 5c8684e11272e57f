"""The numbers that Application Auto Scaling needs, derived from one `ScalingPolicy`.

The recommendation is two step policies on one metric, the difference between needed and desired tasks:

- *out*, on the first data point: adds the whole shortfall at once. From zero, one message is enough.
- *in*, when every data point for five minutes shows a surplus with some room to spare: removes the surplus, to zero if
  nothing was sent.

The same inputs give the numbers for *target tracking* on the backlog per task, with a step policy from zero. It is
common and it works, but it has two drawbacks in the simulator. It waits for 3 data points before it scales out. When
it scales in (after 15), only the newest data point decides, so at a low constant load, where some samples are empty,
the fleet flaps between zero and one.

All metrics use the *desired* number of tasks, not the running one. Tasks take a minute to start, and those that are
starting would otherwise be requested again.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from worker.workbench.scaling.policy import ScalingPolicy
from worker.workbench.scaling.ranges import require, require_whole

SCALE_OUT_DATA_POINTS = 3
"""One-minute data points above the target before target tracking scales out; AWS creates this alarm."""
SCALE_IN_DATA_POINTS = 15
"""One-minute data points below nine tenths of the target before target tracking scales in."""
MAX_STEPS = 20
"""Largest number of step adjustments per policy (https://docs.aws.amazon.com/general/latest/gr/as-app.html)."""

METRIC_DELAY_S = 60
"""Delay of a data point of SQS or Container Insights: it appears about a minute after the minute that it counts."""
COOLDOWN_S = 2 * METRIC_DELAY_S
"""Until the metrics show newly added tasks, the same shortfall would add them again."""
ROOM_TO_SPARE = 1.25
"""A task is removed only if the others could do this times the work, so that random variation causes no flapping."""

TASKS_METRIC = "FILL(FILL(desired_tasks, REPEAT), 0)"
"""Metric math, id `tasks`: a late data point repeats the previous one; a service without tasks counts as zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step: add or remove `tasks` while the metric is at least `from_tasks` and below `to_tasks` (None: no limit)."""

    from_tasks: int
    to_tasks: int | None
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPlan:
    """The values of the scalable target, the step policies with their alarms, and target tracking."""

    min_tasks: int
    max_tasks: int
    """Largest useful number: endpoint or queue may keep fewer tasks busy than the operator allows."""
    backlog_per_task: float
    """Waiting messages that one task clears in time: the target value of target tracking."""
    in_flight_weight: float
    """Number of waiting messages that one message in flight counts for."""
    scale_out_data_points: int
    scale_in_data_points: int
    cooldown_s: int
    steps: tuple[Step, ...]
    """The steps that a shortfall adds and a surplus removes, in tasks."""
    receipts_per_s_per_task: float
    receipts_per_s_at_most: float
    first_result_s: int
    """Longest wait of the first receipt after an idle time, if the fleet goes to zero and the task starts in time."""
    oldest_message_alarm_s: int
    """An oldest message of this age means that the fleet had time to grow and still has not kept up."""

    @property
    def shortfall_metric(self) -> str:
        """CloudWatch metric math of the alarm that scales out at 1 or more, from SQS's two counts and `tasks`."""
        return f"CEIL({self._demand} / {_plain(self.backlog_per_task)}) - tasks"

    @property
    def surplus_metric(self) -> str:
        """CloudWatch metric math of the alarm that scales in at 1 or more.

        The two counts are samples, and at one short receipt per minute most of them are empty. So the last task stays
        while any message was `sent` (NumberOfMessagesSent, a sum over the minute).
        """
        last = f"IF({self._demand} == 0 AND FILL(sent, 0) > 0, 1, 0)"
        return f"tasks - CEIL({ROOM_TO_SPARE} * {self._demand} / {_plain(self.backlog_per_task)}) - {last}"

    @property
    def backlog_metric(self) -> str:
        """CloudWatch metric math for target tracking."""
        return f"{self._demand} / IF(tasks < 1, 1, tasks)"

    @property
    def _demand(self) -> str:
        return f"(visible + {_plain(self.in_flight_weight)} * in_flight)"

    def as_dict(self) -> dict[str, Any]:
        """Return all values and the metric math as JSON values."""
        metrics = {
            "tasks_metric": TASKS_METRIC,
            "shortfall_metric": self.shortfall_metric,
            "surplus_metric": self.surplus_metric,
            "backlog_metric": self.backlog_metric,
        }
        return {**asdict(self), **metrics}

    def as_tfvars(self) -> str:
        """Return the Terraform variable `scaling` as the text of a .tfvars file."""
        return f"scaling = {_hcl(self.as_dict())}\n"


def plan(policy: ScalingPolicy, *, task_start_s: float = 60.0, scale_in_minutes: int = 5) -> ScalingPlan:
    """Return the numbers for AWS.

    `task_start_s` is the time from the decision to a task's first receive. A surplus must last `scale_in_minutes`.
    """
    require("task_start_s", task_start_s, low=0, high=3_600)
    require_whole("scale_in_minutes", scale_in_minutes, low=1, high=1_440)
    most = policy.most_tasks
    fleet_rate = most * policy.receipts_per_s_per_task
    answer_s = 60 + METRIC_DELAY_S + task_start_s
    return ScalingPlan(
        min_tasks=policy.min_tasks,
        max_tasks=most,
        backlog_per_task=round(policy.backlog_per_task, 3),
        in_flight_weight=round(policy.in_flight_weight, 4),
        scale_out_data_points=1,
        scale_in_data_points=scale_in_minutes,
        cooldown_s=COOLDOWN_S,
        steps=_steps(most),
        receipts_per_s_per_task=round(policy.receipts_per_s_per_task, 3),
        receipts_per_s_at_most=round(min(fleet_rate, policy.endpoint_receipts_per_s or math.inf), 3),
        first_result_s=math.ceil(answer_s + policy.receipt_s),
        oldest_message_alarm_s=math.ceil((answer_s + 2 * policy.acceptable_latency_s) / 60) * 60,
    )


def _plain(number: float) -> str:
    """Return a number as Terraform writes it in a string: all digits, no exponent, no trailing zeros."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


def _steps(most: int) -> tuple[Step, ...]:
    """Return at most MAX_STEPS steps over 1..most: one task apart, then by equal factors once those are larger."""
    edges = [1]
    while edges[-1] < most:
        factor = (most / edges[-1]) ** (1 / max(MAX_STEPS - len(edges), 1))
        edges.append(max(edges[-1] + 1, math.floor(edges[-1] * factor + 1e-9)))
    ends = [*edges[1:], None]
    return tuple(Step(from_tasks=edge, to_tasks=end, tasks=edge) for edge, end in zip(edges, ends, strict=True))


def _hcl(value: Any, indent: str = "") -> str:
    """Return a JSON value as HCL, which writes numbers, strings, booleans, null and lists like JSON."""
    deeper = indent + "  "
    if isinstance(value, dict):
        width = max(map(len, value))
        lines = (f"{deeper}{name.ljust(width)} = {_hcl(item, deeper)}\n" for name, item in value.items())
        return "{\n" + "".join(lines) + indent + "}"
    if isinstance(value, list | tuple):
        return "[" + "".join(f"\n{deeper}{_inline(item)}," for item in value) + f"\n{indent}]"
    return json.dumps(value)


def _inline(value: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{name} = {json.dumps(item)}" for name, item in value.items()) + " }"
