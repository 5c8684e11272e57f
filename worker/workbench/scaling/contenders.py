"""The policies to compare, each with the settings that its users have."""

import math
from collections.abc import Callable

from worker.workbench.scaling.autoscaling import (
    ApplicationAutoScaling,
    Autoscaler,
    DataPoint,
    Fixed,
    HorizontalPodAutoscaler,
    Live,
    StepScaling,
    TargetTracking,
    highest_of,
)
from worker.workbench.scaling.plan import ROOM_TO_SPARE, ScalingPlan, Step, plan
from worker.workbench.scaling.policy import ScalingPolicy

OURS = "backlog-per-task"


def contenders(policy: ScalingPolicy) -> dict[str, Callable[[], Autoscaler]]:
    """Return a factory per policy, by name, all with equal bounds. Policies that cannot leave zero keep one task."""
    most = policy.most_tasks
    one = max(policy.min_tasks, 1)
    return {
        OURS: lambda: backlog_per_task(plan(policy)),
        "backlog-live": lambda: Live(policy),
        "target-tracking": lambda: target_tracking(plan(policy)),
        "backlog-copilot": lambda: backlog_copilot(policy),
        "steps-cdk": lambda: queue_steps(least=one, most=most),
        "keda-5": lambda: HorizontalPodAutoscaler(messages_per_pod=5, least=policy.min_tasks, most=most),
        "cpu-70": lambda: cpu(0.7, least=one, most=most),
        "memory-forecast": lambda: Fixed(tasks=one),
    }


def backlog_per_task(numbers: ScalingPlan) -> ApplicationAutoScaling:
    """Return the recommendation of `receipts scale plan`: steps out on a shortfall, steps in on a lasting surplus."""
    out = StepScaling(
        lambda point: shortfall(numbers, point),
        steps=numbers.steps,
        cooldown_s=numbers.cooldown_s,
        datapoints=numbers.scale_out_data_points,
    )
    inward = StepScaling(
        lambda point: surplus(numbers, point),
        steps=numbers.steps,
        cooldown_s=numbers.cooldown_s,
        datapoints=numbers.scale_in_data_points,
        inward=True,
    )
    return ApplicationAutoScaling([out, inward], least=numbers.min_tasks, most=numbers.max_tasks)


def shortfall(numbers: ScalingPlan, point: DataPoint) -> int:
    """Return the value of the plan's `shortfall_metric`."""
    return math.ceil(_demand(numbers, point)) - point.desired


def surplus(numbers: ScalingPlan, point: DataPoint) -> int:
    """Return the value of the plan's `surplus_metric`."""
    needed = math.ceil(ROOM_TO_SPARE * _demand(numbers, point))
    return point.desired - max(needed, 1 if point.sent else 0)


def target_tracking(numbers: ScalingPlan) -> ApplicationAutoScaling:
    """Return target tracking on the backlog per task, with a step policy from zero to one."""
    tracking = TargetTracking(
        lambda point: _demand(numbers, point) / max(point.desired, 1),
        target=1.0,
        out_cooldown_s=numbers.cooldown_s,
        in_cooldown_s=60,
    )
    first = StepScaling(
        lambda point: point.visible if point.desired < 1 else 0,
        steps=(Step(from_tasks=1, to_tasks=None, tasks=1),),
        cooldown_s=numbers.cooldown_s,
    )
    return ApplicationAutoScaling([tracking, first], least=numbers.min_tasks, most=numbers.max_tasks)


def _demand(numbers: ScalingPlan, point: DataPoint) -> float:
    """Return the number of tasks needed, before rounding."""
    return (point.visible + numbers.in_flight_weight * point.in_flight) / numbers.backlog_per_task - 1e-9


def cpu(target: float, *, least: int, most: int) -> ApplicationAutoScaling:
    """Return target tracking on average CPU with ECS's default cooldowns, like ECS Express Mode."""
    return ApplicationAutoScaling(
        [TargetTracking(lambda point: point.cpu_share, target=target)], least=least, most=most
    )


def queue_steps(*, least: int, most: int) -> ApplicationAutoScaling:
    """Return CDK's QueueProcessingFargateService: -1 at 0 visible, +1 from 100, +5 from 500, and a CPU target of 50 %.

    CDK's defaults (aws-ecs-patterns, queue-processing-service-base.ts) are the steps, the statistic (maximum over five
    minutes), the single evaluation period, and the cooldown (300 s, from ECS). CDK's default maximum is 2 tasks; here
    it gets the same maximum as all others.
    """
    out = (Step(from_tasks=100, to_tasks=500, tasks=1), Step(from_tasks=500, to_tasks=None, tasks=5))
    inward = (Step(from_tasks=0, to_tasks=None, tasks=1),)
    visible = highest_of(5, lambda point: point.visible)
    return ApplicationAutoScaling(
        [
            TargetTracking(lambda point: point.cpu_share, target=0.5),
            StepScaling(visible, steps=out),
            StepScaling(lambda point: -(visible(point) or 0.0), steps=inward, inward=True),
        ],
        least=least,
        most=most,
    )


def backlog_copilot(policy: ScalingPolicy) -> ApplicationAutoScaling:
    """Return Copilot's worker service: visible messages per running task, against latency over time per message.

    Its metric counts at least one task, and its cooldowns are 60 s out and 120 s in (aws/copilot-cli). Copilot assumes
    that a task processes one message at a time, so the time per message is a receipt's time over the slots.
    """
    return ApplicationAutoScaling(
        [
            TargetTracking(
                lambda point: -(-point.visible // max(point.running, 1)),
                target=policy.acceptable_latency_s * policy.slots_per_task / policy.receipt_s,
                out_cooldown_s=60,
                in_cooldown_s=120,
            )
        ],
        least=policy.min_tasks,
        most=policy.most_tasks,
    )
