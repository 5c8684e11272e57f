"""The number of concurrent invocations, and the return of every slot."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import now, virtual
from worker.extraction.memory import ByteBudget
from worker.resilience.limiter import AdaptiveLimit, Limiter, LimitPolicy


@given(st.lists(st.tuples(st.floats(0.1, 3), st.one_of(st.none(), st.floats(0, 4))), min_size=1, max_size=15))
@virtual
async def test_cancellation_leaks_no_slot(calls: list[tuple[float, float | None]]) -> None:
    """Whenever a call is cancelled, waiting or working, all slots are free in the end."""
    limiter = Limiter(clock=now, fixed=2)
    most = 0

    async def call(seconds: float) -> None:
        nonlocal most
        async with limiter.slot():
            most = max(most, limiter.running)
            await asyncio.sleep(seconds)

    async def cancelled(task: "asyncio.Task[None]", after_s: float | None) -> None:
        if after_s is not None:
            await asyncio.sleep(after_s)
            task.cancel()

    tasks = [asyncio.create_task(call(seconds)) for seconds, _ in calls]
    cancels = [cancelled(task, after_s) for task, (_, after_s) in zip(tasks, calls, strict=True)]
    await asyncio.gather(*tasks, *cancels, return_exceptions=True)
    assert limiter.running == 0
    assert most <= 2
    assert all(task.cancelled() or task.exception() is None for task in tasks)
    async with asyncio.timeout(1), limiter.slot(), limiter.slot():
        pass


@virtual
async def test_slots_are_given_first_come_first_served() -> None:
    """Calls get slots in the order in which they asked."""
    limiter = Limiter(clock=now, fixed=1)
    order: list[int] = []

    async def call(number: int) -> None:
        async with limiter.slot():
            order.append(number)
            await asyncio.sleep(1)

    await asyncio.gather(*(call(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


events = st.lists(st.tuples(st.sampled_from(["ok", "throttle", "timeout"]), st.floats(0.01, 5)), max_size=200)


@given(events)
def test_the_limit_stays_within_its_bounds(happened: list[tuple[str, float]]) -> None:
    """For any sequence of results, the limit stays between least and most."""
    policy = LimitPolicy(least=2, most=20, start=8)
    limit, clock = AdaptiveLimit(policy), 0.0
    for what, seconds in happened:
        started, clock = clock, clock + seconds
        if what == "ok":
            limit.succeeded(started=started, now=clock, running=limit.limit)
        elif what == "throttle":
            limit.throttled(started=started, now=clock, running=limit.limit)
        else:
            limit.timed_out(started=started, now=clock)
        assert policy.least <= limit.limit <= policy.most


def test_it_rises_while_latency_is_flat_and_falls_on_a_throttle() -> None:
    """Answers at the limit raise it; a throttle lowers it to what the endpoint has served."""
    limit = AdaptiveLimit(LimitPolicy(most=100, start=8))
    for turn in range(40):
        limit.succeeded(started=turn, now=turn + 0.5, running=limit.limit)
    risen = limit.limit
    assert risen > 20
    limit.throttled(started=100, now=101, running=15)
    assert limit.limit <= 15


def test_an_idle_limit_does_not_rise() -> None:
    """A limit that is not reached does not rise, because the answers say nothing about capacity."""
    limit = AdaptiveLimit(LimitPolicy(most=100, start=8))
    for turn in range(100):
        limit.succeeded(started=turn, now=turn + 0.5, running=1)
    assert limit.limit == 8


def test_a_limiter_needs_either_a_policy_or_a_fixed_number() -> None:
    """A limiter with neither a policy nor a number is refused, and so is an inconsistent policy."""
    with pytest.raises(ValueError, match="either"):
        Limiter(clock=lambda: 0.0)
    with pytest.raises(ValueError, match="least <= start"):
        LimitPolicy(least=5, start=4)


@given(
    st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 150), st.floats(0, 2), st.one_of(st.none(), st.floats(0, 4))),
        max_size=12,
    )
)
@virtual
async def test_the_byte_budget_is_never_exceeded_and_is_returned_in_full(
    uploads: list[tuple[int, int, float, float | None]],
) -> None:
    """At most the budget is held, a larger upload counts as the whole budget, and cancellation returns everything."""
    budget = ByteBudget(100)

    async def fetch(expected: int, size: int, seconds: float) -> None:
        async with budget.hold(expected) as held:
            await held.grow(size)
            assert 0 <= budget.taken <= 100
            await asyncio.sleep(seconds)

    async def cancelled(task: "asyncio.Task[None]", after_s: float | None) -> None:
        if after_s is not None:
            await asyncio.sleep(after_s)
            task.cancel()

    tasks = [asyncio.create_task(fetch(expected, size, seconds)) for expected, size, seconds, _ in uploads]
    await asyncio.gather(
        *tasks,
        *(cancelled(task, upload[3]) for task, upload in zip(tasks, uploads, strict=True)),
        return_exceptions=True,
    )
    assert budget.taken == 0
    assert all(task.cancelled() or task.exception() is None for task in tasks)
