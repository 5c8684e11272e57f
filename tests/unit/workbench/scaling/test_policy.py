"""The scaling decision: properties that hold for every queue and every policy."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker.workbench.local.autoscaler import Window
from worker.workbench.scaling.policy import Backlog, ScalingPolicy, desired_tasks, stabilised

counts = st.integers(0, 10_000_000)


@st.composite
def policies(draw: st.DrawFn, *, min_tasks: int | None = None) -> ScalingPolicy:
    receipt_s = draw(st.floats(0.05, 120))
    max_tasks = draw(st.integers(1, 500))
    return ScalingPolicy(
        receipt_s=receipt_s,
        slots_per_task=draw(st.integers(1, 200)),
        acceptable_latency_s=receipt_s * draw(st.floats(1, 1_000)),
        busy_share=draw(st.floats(0.1, 1)),
        endpoint_receipts_per_s=draw(st.none() | st.floats(0.01, 10_000)),
        min_tasks=draw(st.integers(0, max_tasks)) if min_tasks is None else min_tasks,
        max_tasks=max_tasks,
    )


@given(policies(), counts, counts, counts, counts)
def test_more_messages_never_mean_fewer_tasks(
    policy: ScalingPolicy, visible: int, in_flight: int, more_visible: int, more_in_flight: int
) -> None:
    """The fleet is monotone in both counts of the queue."""
    small = Backlog(visible=visible, in_flight=in_flight)
    large = Backlog(visible=visible + more_visible, in_flight=in_flight + more_in_flight)
    assert desired_tasks(small, policy) <= desired_tasks(large, policy)


@given(policies(), counts, counts)
def test_the_fleet_stays_within_its_bounds(policy: ScalingPolicy, visible: int, in_flight: int) -> None:
    """The number lies between the minimum and the largest useful number for any queue."""
    tasks = desired_tasks(Backlog(visible=visible, in_flight=in_flight), policy)
    assert policy.min_tasks <= tasks <= policy.most_tasks <= policy.max_tasks


@given(policies(min_tasks=0), st.sampled_from([(1, 0), (0, 1)]))
def test_one_message_is_enough_to_leave_zero(policy: ScalingPolicy, counted: tuple[int, int]) -> None:
    """A single message, waiting or in flight, requires a task under any policy."""
    assert desired_tasks(Backlog(visible=counted[0], in_flight=counted[1]), policy) >= 1


@given(policies())
def test_an_empty_queue_asks_for_the_least(policy: ScalingPolicy) -> None:
    """An empty queue requires the minimum, which may be zero."""
    assert desired_tasks(Backlog(visible=0, in_flight=0), policy) == policy.min_tasks


@given(policies(min_tasks=0), st.integers(1, 200))
def test_busy_tasks_are_not_removed(policy: ScalingPolicy, tasks: int) -> None:
    """Tasks whose slots are all busy are not removed, even if no message waits."""
    assume(tasks <= policy.most_tasks)
    assert desired_tasks(Backlog(visible=0, in_flight=tasks * policy.slots_per_task), policy) >= tasks


@given(policies(), st.integers(1, 100_000))
def test_the_backlog_is_cleared_within_the_acceptable_latency(policy: ScalingPolicy, visible: int) -> None:
    """Below its upper bound the fleet is large enough to clear the backlog in the allowed time."""
    tasks = desired_tasks(Backlog(visible=visible, in_flight=0), policy)
    assume(tasks < policy.most_tasks)
    assert visible / (tasks * policy.receipts_per_s_per_task) <= policy.acceptable_latency_s * (1 + 1e-6)


@given(policies(min_tasks=0), st.integers(1, 10_000))
def test_a_constant_load_does_not_make_the_fleet_flap(policy: ScalingPolicy, receipts_per_round: int) -> None:
    """From an empty fleet, a constant flow leads to a number of tasks that stays the same."""
    assume(receipts_per_round <= policy.most_tasks * policy.slots_used_per_task)
    waiting, tasks, seen = 0, 0, []
    for _ in range(600):  # a round is one receipt's time: all in flight are done and every slot is free
        waiting += receipts_per_round
        in_flight = min(waiting, tasks * policy.slots_per_task)
        waiting -= in_flight
        seen.append(desired_tasks(Backlog(visible=waiting, in_flight=in_flight), policy))
        tasks = stabilised(seen[-100:])
    assert len({stabilised(seen[end - 100 : end]) for end in range(500, 601)}) == 1


@given(st.lists(st.integers(0, 100), min_size=1))
def test_the_fleet_grows_at_once_and_shrinks_only_when_all_agree(recent: list[int]) -> None:
    """The newest number applies if it is the largest; a smaller one waits until no larger one is left."""
    assert stabilised(recent) >= recent[-1]
    assert stabilised(recent) in recent


def test_the_endpoint_bounds_the_fleet() -> None:
    """Ten receipts per second of 4 s each keep 40 slots busy: two tasks of 32 at 80 %; a third would be idle."""
    policy = ScalingPolicy(receipt_s=4, endpoint_receipts_per_s=10, max_tasks=50)
    assert policy.most_tasks == 2
    assert desired_tasks(Backlog(visible=1_000_000, in_flight=64), policy) == 2


def test_one_queue_bounds_the_fleet() -> None:
    """SQS allows 120,000 messages in flight, which 3,750 tasks of 32 slots hold."""
    policy = ScalingPolicy(receipt_s=4, slots_per_task=32, max_tasks=5_000)
    assert policy.most_tasks == 3_750
    assert desired_tasks(Backlog(visible=100_000_000, in_flight=120_000), policy) == 3_750


def test_the_least_that_an_operator_asks_for_is_kept_beside_a_small_endpoint() -> None:
    """The minimum wins over the endpoint's bound."""
    assert ScalingPolicy(receipt_s=4, endpoint_receipts_per_s=1, min_tasks=5).most_tasks == 5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"receipt_s": 0}, "receipt_s is 0; it must lie in (0, 43200]"),
        ({"receipt_s": float("nan")}, "receipt_s is nan; it must lie in (0, 43200]"),
        ({"slots_per_task": 0}, "slots_per_task is 0; it must lie in [1, 1000]"),
        ({"slots_per_task": 1.5}, "slots_per_task is 1.5; it must be a whole number in [1, 1000]"),
        ({"acceptable_latency_s": 1e9}, "acceptable_latency_s is 1000000000; it must lie in (0, 1209600]"),
        (
            {"receipt_s": 10, "acceptable_latency_s": 5},
            "acceptable_latency_s is 5; it must be at least receipt_s, 10, the time of one receipt",
        ),
        ({"busy_share": 1.2}, "busy_share is 1.2; it must lie in [0.1, 1]"),
        ({"endpoint_receipts_per_s": 0}, "endpoint_receipts_per_s is 0; it must lie in (0, infinity)"),
        ({"max_tasks": 0}, "max_tasks is 0; it must lie in [1, 5000]"),
        ({"min_tasks": 11}, "min_tasks is 11; it must lie in [0, 10]"),
    ],
)
def test_a_number_that_cannot_work_is_refused_by_name(wrong: dict[str, Any], message: str) -> None:
    """The error names the field, its value and the range."""
    with pytest.raises(ValueError, match=re.escape(message) + "$"):
        ScalingPolicy(**{"receipt_s": 4, **wrong})


def test_a_negative_backlog_is_refused() -> None:
    """A negative count raises ValueError."""
    with pytest.raises(ValueError, match="visible is -1"):
        Backlog(visible=-1, in_flight=0)


def test_a_window_keeps_the_largest_recent_number() -> None:
    """Workers are added at once and removed, down to zero, after a window in which fewer were enough."""
    window = Window(10)
    assert [window.settle(now, wanted) for now, wanted in ((0, 3), (1, 0), (9, 1), (10, 0), (18, 0), (19, 0))] == [
        *(3, 3, 3),
        *(1, 1, 0),
    ]
