"""The scaling rules of AWS and Kubernetes, one by one."""

from worker.workbench.scaling.autoscaling import (
    ApplicationAutoScaling,
    DataPoint,
    HorizontalPodAutoscaler,
    StepScaling,
    TargetTracking,
    highest_of,
)
from worker.workbench.scaling.plan import Step


def seen(visible: int = 0, *, in_flight: int = 0, desired: int = 1, cpu: float | None = None) -> DataPoint:
    return DataPoint(visible, in_flight, desired, desired, visible, cpu)


def tracking(*, out_s: float = 60, in_s: float = 60) -> TargetTracking:
    return TargetTracking(lambda point: point.visible, target=100, out_cooldown_s=out_s, in_cooldown_s=in_s)


def test_target_tracking_scales_out_on_the_third_point_and_in_proportion() -> None:
    """Two points above the target change nothing; the third multiplies the capacity by metric over target."""
    rule = tracking()
    assert [rule.wants(60.0 * n, seen(250), 4) for n in range(3)] == [4, 4, 10]


def test_target_tracking_scales_in_on_the_fifteenth_point() -> None:
    """It scales in after 15 minutes below nine tenths of the target; 95 % of it is not enough."""
    rule = tracking()
    assert [rule.wants(60.0 * n, seen(50), 4) for n in range(15)] == [4] * 14 + [2]
    rule = tracking()
    assert [rule.wants(60.0 * n, seen(95), 4) for n in range(30)] == [4] * 30


def test_target_tracking_counts_what_a_cooldown_has_added() -> None:
    """During the cooldown the same metric adds nothing; a higher one adds only the difference."""
    rule = tracking(out_s=300)
    assert [rule.wants(60.0 * n, seen(200), 2) for n in range(3)][-1] == 4
    assert rule.wants(180, seen(200), 4) == 4
    assert rule.wants(240, seen(300), 4) == 6


def test_target_tracking_does_nothing_without_data() -> None:
    """Zero tasks publish no CPU data, so the fleet stays at zero despite a backlog."""
    rule = TargetTracking(lambda point: point.cpu_share, target=0.7)
    assert rule.wants(0, seen(1_000_000, desired=0), 0) is None


def steps() -> tuple[Step, ...]:
    return (Step(from_tasks=100, to_tasks=500, tasks=2), Step(from_tasks=500, to_tasks=None, tasks=3))


def test_step_scaling_adds_the_difference_during_a_cooldown() -> None:
    """AWS's own example: after 2 added tasks, a step of 3 adds 1 more."""
    rule = StepScaling(lambda point: point.visible, steps=steps(), cooldown_s=300)
    assert rule.wants(0, seen(100), 1) == 3
    assert rule.wants(60, seen(100), 3) is None
    assert rule.wants(120, seen(500), 3) == 4
    assert rule.wants(500, seen(500), 4) == 7


def test_step_scaling_inward_needs_every_point_and_waits_its_cooldown() -> None:
    """One point below the step resets the count; after a scale-in the next one waits for the cooldown."""
    rule = StepScaling(
        lambda point: -point.visible, steps=(Step(from_tasks=0, to_tasks=None, tasks=1),), datapoints=3, inward=True
    )
    quiet, busy = seen(0), seen(1)
    assert [rule.wants(60.0 * n, point, 5) for n, point in enumerate([quiet, quiet, busy, quiet, quiet])] == [None] * 5
    assert rule.wants(300, quiet, 5) == 4
    assert rule.wants(360, quiet, 4) is None
    assert rule.wants(600, quiet, 4) == 3


def test_a_longer_period_takes_the_highest_point() -> None:
    """The maximum over five minutes keeps a peak for five minutes."""
    highest = highest_of(5, lambda point: point.visible)
    assert [highest(seen(n)) for n in (9, 1, 1, 1, 1, 1)] == [9, 9, 9, 9, 9, 1]


def test_the_largest_capacity_wins_and_bounds_hold() -> None:
    """Of two policies that scale out, the larger capacity wins, up to the maximum."""
    joined = ApplicationAutoScaling(
        [StepScaling(lambda point: point.visible, steps=steps()), StepScaling(lambda point: 500.0, steps=steps())],
        least=1,
        most=3,
    )
    assert joined.decide(0, seen(100), 1) == 3


def test_scaling_in_waits_for_every_target_tracking() -> None:
    """A target tracking that keeps its capacity stops another one from removing tasks."""
    held = TargetTracking(lambda point: 95.0, target=100)
    joined = ApplicationAutoScaling([tracking(), held], least=0, most=10)
    assert [joined.decide(60.0 * n, seen(10), 4) for n in range(20)] == [4] * 20
    alone = ApplicationAutoScaling([tracking()], least=0, most=10)
    assert [alone.decide(60.0 * n, seen(10), 4) for n in range(15)][-1] == 1


def test_kubernetes_doubles_out_and_waits_five_minutes_in() -> None:
    """It starts one pod from zero, then adds four or doubles, and scales in only to the maximum of five minutes."""
    rule = HorizontalPodAutoscaler(messages_per_pod=5, least=0, most=20)
    pods = [0]
    for round_ in range(4):
        pods.append(rule.decide(15.0 * round_, seen(500), pods[-1]))
    assert pods == [0, 1, 5, 10, 20]
    later = [rule.decide(60 + 15.0 * n, seen(0), 20) for n in range(30)]
    assert later[0] == 20
    assert later[-1] == 0
