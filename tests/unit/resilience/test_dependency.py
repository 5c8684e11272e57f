"""A dependency: limited attempts while it is healthy, free attempts during an outage, the receipt's faults at once."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import now, virtual
from worker.errors import DependencyFault, Failed, Rejected, Throttled
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import THROTTLE_ALLOWANCE, Dependency, RetryPolicy
from worker.resilience.faults import SuspectFault

POLICY = RetryPolicy(attempts=4, base_s=0.2, cap_s=2.0)


class Calls:
    """A call that raises each of `errors` in turn, and then returns the number of calls made."""

    def __init__(self, errors: Iterator[Exception]) -> None:
        self._errors = errors
        self.made = 0

    async def __call__(self) -> int:
        self.made += 1
        await asyncio.sleep(0.01)
        if error := next(self._errors, None):
            raise error
        return self.made


def dependency(*, failures: int = 1_000) -> tuple[Dependency, list[DependencyFault]]:
    """Return a dependency whose breaker opens after `failures` consecutive faults, and the list of reported faults."""
    seen: list[DependencyFault] = []
    shut = Breaker("s3", BreakerPolicy(failures=failures), clock=now)
    return Dependency("s3", shut, POLICY, on_fault=seen.append), seen


@given(st.integers(0, 10))
@virtual
async def test_attempts_are_limited(faults: int) -> None:
    """A call survives fewer faults than attempts; with as many, the last fault is raised."""
    tested, seen = dependency()
    calls = Calls(iter([ConnectionError()] * faults))
    if faults < POLICY.attempts:
        assert await tested.call(calls, work="a") == faults + 1
    else:
        with pytest.raises(DependencyFault, match="connection"):
            await tested.call(calls, work="a")
    assert calls.made == min(faults + 1, POLICY.attempts)
    assert len(seen) == min(faults, POLICY.attempts)


@virtual
async def test_throttled_attempts_are_charged_a_fraction() -> None:
    """A call may be throttled `THROTTLE_ALLOWANCE` times as often as it may fail."""
    tested, seen = dependency()
    calls = Calls(iter([Throttled("s3", "throttled")] * 1_000))
    with pytest.raises(Throttled):
        await tested.call(calls, work="a")
    assert calls.made == POLICY.attempts * THROTTLE_ALLOWANCE
    assert len(seen) == calls.made


@virtual
async def test_attempts_during_an_outage_are_free() -> None:
    """While the breaker is open, calls wait and probe as long as the outage lasts, and then succeed."""
    tested, _ = dependency(failures=3)
    down = True

    async def attempt() -> str:
        await asyncio.sleep(0.01)
        if down:
            raise ConnectionError
        return "done"

    waiting = [asyncio.create_task(tested.call(attempt, work=f"{number}")) for number in range(5)]
    await asyncio.sleep(3_600)
    assert not any(task.done() for task in waiting)
    down = False
    assert await asyncio.gather(*waiting) == ["done"] * 5


@pytest.mark.parametrize(
    "make", [lambda: Rejected("no_such_object"), lambda: Failed("model_refused"), lambda: KeyError("a bug")]
)
def test_an_error_that_a_retry_cannot_fix_is_raised_at_once(make: Callable[[], Exception]) -> None:
    """A rejection, a failure of the receipt or a bug is raised unchanged after the first call."""
    error = make()

    @virtual
    async def check() -> None:
        tested, seen = dependency()
        calls = Calls(iter([error]))
        with pytest.raises(type(error)) as raised:
            await tested.call(calls, work="a")
        assert raised.value is error
        assert (calls.made, seen) == (1, [])

    check()


@virtual
async def test_a_refusal_of_the_receipt_closes_the_breaker() -> None:
    """An answer that rejects the receipt closes the breaker, as a success does."""
    tested, _ = dependency(failures=1)
    with pytest.raises(Rejected):
        await tested.call(Calls(iter([SuspectFault("s3", "refused"), Rejected("no_such_object")])), work="a")
    assert not tested.breaker.open


@virtual
async def test_a_fault_of_another_dependency_is_not_counted() -> None:
    """A fault of another dependency's call is passed on and does not open this breaker."""
    tested, seen = dependency(failures=1)
    with pytest.raises(DependencyFault, match="connection"):
        await tested.call(Calls(iter([DependencyFault("dynamodb", "connection")])), work="a")
    assert not tested.breaker.open
    assert seen == []


@pytest.mark.parametrize(("attempts", "base_s", "cap_s"), [(0, 1, 1), (1, 0, 1), (1, 2, 1)])
def test_a_policy_that_cannot_work_is_refused(attempts: int, base_s: float, cap_s: float) -> None:
    """A policy must have an attempt, a pause, and a first pause that is at most the longest."""
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(attempts=attempts, base_s=base_s, cap_s=cap_s)
