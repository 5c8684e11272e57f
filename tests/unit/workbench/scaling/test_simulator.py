"""The simulator compared with arithmetic, queueing theory and AWS's rules."""

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.workbench.scaling.autoscaling import Autoscaler, Fixed
from worker.workbench.scaling.contenders import OURS, contenders
from worker.workbench.scaling.outcome import percentile, summarise
from worker.workbench.scaling.policy import ScalingPolicy
from worker.workbench.scaling.profiles import PROFILES, counts_a_minute, upload_times
from worker.workbench.scaling.scenario import EndpointModel, Scenario, WorkerModel
from worker.workbench.scaling.simulator import PATIENCE_S, Run, service_times, simulate

PLAIN = Scenario(
    worker=WorkerModel(slots=4, before_s=0.5, after_s=0.5, start_s=(60, 60), cpu_s_per_receipt=0),
    endpoint=EndpointModel(invoke_s=3, variation=0, min_instances=8),
    notify_s=0,
)
HOUR_S = 3_600.0


def made(scenario: Scenario, name: str = OURS, *, min_tasks: int = 0, max_tasks: int = 20) -> Autoscaler:
    policy = scenario.policy(acceptable_latency_s=60, busy_share=0.8, min_tasks=min_tasks, max_tasks=max_tasks)
    return contenders(policy)[name]()


def steady(receipts_per_s: float, *, hours: float, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    times, now = [], 0.0
    while now < hours * HOUR_S:
        now += draw.expovariate(receipts_per_s)
        times.append(now)
    return times


def test_a_free_fleet_takes_exactly_the_time_of_a_receipt() -> None:
    """Receipts that do not compete take exactly notification, fetch, invocation and store."""
    run = simulate(PLAIN, [10.0 * n for n in range(50)], Fixed(tasks=1), length_s=600)
    assert run.result_s == pytest.approx([4.0] * 50)


def test_a_full_fleet_drains_at_slots_over_time() -> None:
    """Two tasks of 4 slots at 4 s per receipt do 2 receipts per second, so 800 take 400 s."""
    run = simulate(PLAIN, [0.0] * 800, Fixed(tasks=2), length_s=0)
    assert max(run.result_s) == pytest.approx(400)
    assert min(run.result_s) == pytest.approx(4)


@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_one_slot_waits_as_queueing_theory_says(variation: float) -> None:
    """The mean wait of a single server with random arrivals (M/G/1) follows the Pollaczek-Khinchine formula."""
    scenario = Scenario(
        worker=WorkerModel(slots=1, before_s=0, after_s=0, cpu_s_per_receipt=0),
        endpoint=EndpointModel(invoke_s=4, variation=variation),
        notify_s=0,
    )
    run = simulate(scenario, steady(0.15, hours=200), Fixed(tasks=1), length_s=200 * HOUR_S)
    wait_s = sum(run.result_s) / len(run.result_s) - 4
    assert wait_s == pytest.approx(0.6 * 4 * (1 + variation**2) / (2 * (1 - 0.6)), rel=0.08)


def test_in_flight_is_rate_times_time() -> None:
    """The measured messages in flight follow Little's law."""
    run = simulate(PLAIN, steady(3, hours=8), Fixed(tasks=5), length_s=8 * HOUR_S)
    inside = [minute.visible + minute.in_flight for minute in run.minutes]
    mean_s = sum(run.result_s) / len(run.result_s)
    assert sum(inside) / len(inside) == pytest.approx(3 * mean_s, rel=0.05)


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 120), min_size=1, max_size=40),
    st.sampled_from(sorted(contenders(ScalingPolicy(receipt_s=4)))),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_receipt_ends_once_and_the_fleet_stays_in_bounds(
    counts: list[int], name: str, min_tasks: int, protected: bool
) -> None:
    """For any uploads and policy, each upload has one result or is unfinished, and the bounds hold."""
    scenario = Scenario(
        worker=WorkerModel(slots=2, protected=protected),
        endpoint=EndpointModel(min_instances=1, concurrency=4, queue=2),
    )
    run = simulate(
        scenario,
        upload_times(counts, seed=1),
        made(scenario, name, min_tasks=min_tasks, max_tasks=6),
        length_s=60.0 * len(counts),
    )
    assert len(run.result_s) + run.unfinished == sum(counts)
    assert all(result >= 1.5 for result in run.result_s)
    assert all(min_tasks <= minute.desired <= 6 for minute in run.minutes)
    assert run.unfinished == 0 or name == "backlog-copilot"


def test_receipts_after_the_horizon_are_unfinished() -> None:
    """Receipts that the endpoint would accept only days later count as unfinished."""
    scenario = Scenario(endpoint=EndpointModel(invoke_s=60, concurrency=1, queue=1, min_instances=1, max_instances=1))
    run = simulate(scenario, [0.0] * 3_000, Fixed(tasks=100), length_s=60)
    assert len(run.result_s) + run.unfinished == 3_000
    assert max(run.result_s) <= 60 + PATIENCE_S
    assert len(run.result_s) == pytest.approx(PATIENCE_S / 60, rel=0.02)


def test_a_run_lasts_until_its_last_minute_is_measured() -> None:
    """The minutes include the task of a single receipt, although it is gone when the receipt is done."""
    run = simulate(PLAIN, [0.0], made(PLAIN), length_s=60)
    assert [minute.running for minute in run.minutes][-1] == 1
    assert run.minutes[-1].in_flight == run.minutes[-1].visible == 0


def test_the_same_seed_gives_the_same_run() -> None:
    """A seed reproduces a run exactly, and another seed gives another run."""
    counts = counts_a_minute("burst", uploads=5_000)

    def run(seed: int) -> Run:
        scenario = Scenario(seed=seed)
        return simulate(scenario, upload_times(counts, seed=seed), made(scenario), length_s=60.0 * len(counts))

    assert run(1) == run(1)
    assert run(1).result_s != run(2).result_s


def test_one_message_leaves_zero_and_an_empty_queue_goes_back() -> None:
    """From zero, a single receipt is done within the plan's time; afterwards the fleet is at zero again."""
    run = simulate(PLAIN, [1_000.0], made(PLAIN), length_s=2 * HOUR_S)
    assert run.result_s[0] <= 60 + 60 + 60 + 15 + 4
    assert run.minutes[15].desired == 0
    assert max(minute.running for minute in run.minutes) == 1
    assert run.minutes[-1].running == 0


def test_a_constant_load_settles() -> None:
    """After the start the number of tasks rarely changes, although arrivals are random."""
    run = simulate(Scenario(), steady(11, hours=6), made(Scenario()), length_s=6 * HOUR_S)
    desired = [minute.desired for minute in run.minutes[60:]]
    assert sum(before != after for before, after in itertools.pairwise(desired)) <= 2


def test_a_trickle_does_not_make_the_fleet_flap() -> None:
    """At a receipt every 30 s most samples are empty: our policy keeps its task, target tracking flaps."""
    uploads = steady(1 / 30, hours=6)

    def changes(name: str) -> int:
        run = simulate(Scenario(), uploads, made(Scenario(), name), length_s=6 * HOUR_S)
        return summarise(name, run, Scenario()).changes

    assert changes(OURS) <= 3
    assert changes("target-tracking") > 20


def test_cpu_does_not_show_a_backlog() -> None:
    """Five times the capacity of one task leaves CPU at a third, so CPU 70 % never starts a second task."""
    scenario = Scenario()
    run = simulate(scenario, steady(40, hours=1), made(scenario, "cpu-70"), length_s=HOUR_S)
    assert max(minute.visible for minute in run.minutes) > 50_000
    assert max(minute.cpu_share or 0 for minute in run.minutes) < 0.4
    assert {minute.desired for minute in run.minutes} == {1}


def test_cpu_scaling_works_for_cpu_bound_receipts() -> None:
    """If each receipt takes 1.5 CPU seconds, CPU 70 % scales, so the model is not biased against it."""
    scenario = Scenario(worker=WorkerModel(cpu_s_per_receipt=1.5, vcpu=1))
    run = simulate(scenario, steady(2, hours=1), made(scenario, "cpu-70"), length_s=HOUR_S)
    assert max(minute.desired for minute in run.minutes) > 3


def test_a_protected_task_is_not_stopped_while_it_works() -> None:
    """Protected tasks that are never idle survive a scale-in; unprotected ones drain."""
    uploads = [*([0.0] * 3_000), *steady(4, hours=3)]

    def task_hours(*, protected: bool) -> float:
        scenario = Scenario(worker=WorkerModel(protected=protected))
        return simulate(scenario, sorted(uploads), made(scenario), length_s=3 * HOUR_S).task_s / HOUR_S

    assert task_hours(protected=True) > 1.2 * task_hours(protected=False)


def test_an_overloaded_endpoint_queues_then_throttles_then_grows() -> None:
    """More invocations than places and queue are throttled until the endpoint adds instances."""
    endpoint = EndpointModel(concurrency=8, queue=8, min_instances=1, max_instances=4)
    scenario = Scenario(endpoint=endpoint)
    run = simulate(scenario, steady(8, hours=1), Fixed(tasks=4), length_s=HOUR_S)
    assert run.throttles > 0
    instances = [minute.instances for minute in run.minutes]
    assert instances[0] == 1
    assert instances[-1] == 4
    ample = Scenario(endpoint=EndpointModel(min_instances=8))
    assert simulate(ample, steady(8, hours=1), Fixed(tasks=4), length_s=HOUR_S).throttles == 0


def test_a_sleeping_queue_wakes_late() -> None:
    """After seven idle hours at zero tasks the next receipt waits up to 15 minutes more, unless metrics continue."""

    def first_result_s(*, kept_awake: bool) -> float:
        scenario = Scenario(queue_kept_awake=kept_awake)
        return simulate(scenario, [7 * HOUR_S], made(scenario), length_s=8 * HOUR_S).result_s[0]

    assert first_result_s(kept_awake=False) - first_result_s(kept_awake=True) == pytest.approx(900, abs=60)


def test_service_times_have_the_mean_and_spread_asked_for() -> None:
    """The pool of invocation times is lognormal with the given mean and variation."""
    times = service_times(EndpointModel(invoke_s=3.5, variation=0.4), seed=1)
    mean = sum(times) / len(times)
    spread = math.sqrt(sum((time - mean) ** 2 for time in times) / len(times))
    assert mean == pytest.approx(3.5, rel=1e-6)
    assert spread / mean == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("uploads", [1, 999, 123_457])
def test_a_profile_has_exactly_the_uploads_asked_for(profile: str, uploads: int) -> None:
    """Counts per minute sum to the uploads, none is negative, and upload times lie in their minutes."""
    counts = counts_a_minute(profile, uploads=uploads)
    assert sum(counts) == uploads
    assert min(counts) >= 0
    times = upload_times(counts, seed=3)
    assert times == sorted(times)
    assert len(times) == uploads
    assert all(counts[int(time // 60)] for time in times[:: max(uploads // 500, 1)])


def test_percentiles_count_unfinished_receipts_as_infinite() -> None:
    """With one receipt of ten unfinished, the median is finite and the worst is infinite."""
    assert percentile([float(n) for n in range(1, 10)], 10, 0.5) == 5
    assert percentile([float(n) for n in range(1, 10)], 10, 0.95) == math.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WorkerModel(slots=0), "slots is 0"),
        (lambda: WorkerModel(start_s=(90, 30)), "start_s is 90"),
        (lambda: EndpointModel(min_instances=9), "min_instances is 9; it must lie in [1, 8]"),
        (lambda: EndpointModel(invoke_s=61), "invoke_s is 61"),
        (lambda: Scenario(metric_delay_s=90), "metric_delay_s is 90; it must be a multiple of 60"),
        (lambda: counts_a_minute("friday"), "profile is 'friday'; it must be one of constant, burst, daily, monday"),
    ],
)
def test_an_invalid_scenario_is_refused(make: Callable[[], object], message: str) -> None:
    """The error names each invalid number with its value."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, brackets and all
        make()
    assert message in str(caught.value)
