"""A dependency: so many tries while it is well, none charged while it is down, the receipt's own faults at once."""

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
    """Calls that raise what `errors` gives, one after the other, and then return their number."""

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
    """Return a dependency whose breaker opens after so many faults in a row, and the faults that it tells of."""
    seen: list[DependencyFault] = []
    shut = Breaker("s3", BreakerPolicy(failures=failures), clock=now)
    return Dependency("s3", shut, POLICY, on_fault=seen.append), seen


@given(st.integers(0, 10))
@virtual
async def test_tries_are_counted(faults: int) -> None:
    """Fewer faults than tries are survived; as many are raised, and nothing is called after that."""
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
async def test_a_throttled_try_costs_a_fraction() -> None:
    """Being too fast uses up ten times as many tries."""
    tested, seen = dependency()
    calls = Calls(iter([Throttled("s3", "throttled")] * 1_000))
    with pytest.raises(Throttled):
        await tested.call(calls, work="a")
    assert calls.made == POLICY.attempts * THROTTLE_ALLOWANCE
    assert len(seen) == calls.made


@virtual
async def test_an_outage_charges_nothing() -> None:
    """While the breaker is open a call waits and probes for as long as it takes, and then succeeds."""
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
def test_what_another_try_would_not_mend_is_raised_at_once(make: Callable[[], Exception]) -> None:
    """The receipt's own fault and a bug are raised on the first call, as they are."""
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
async def test_a_refusal_of_the_receipt_shows_that_the_dependency_is_well() -> None:
    """An answer that blames the receipt closes the breaker as a success does."""
    tested, _ = dependency(failures=1)
    with pytest.raises(Rejected):
        await tested.call(Calls(iter([SuspectFault("s3", "refused"), Rejected("no_such_object")])), work="a")
    assert not tested.breaker.open


@virtual
async def test_a_fault_of_another_dependency_is_not_this_ones() -> None:
    """A fault that came through another dependency's call is passed on and opens nothing here."""
    tested, seen = dependency(failures=1)
    with pytest.raises(DependencyFault, match="connection"):
        await tested.call(Calls(iter([DependencyFault("dynamodb", "connection")])), work="a")
    assert not tested.breaker.open
    assert seen == []


@pytest.mark.parametrize(("attempts", "base_s", "cap_s"), [(0, 1, 1), (1, 0, 1), (1, 2, 1)])
def test_a_policy_that_cannot_work_is_refused(attempts: int, base_s: float, cap_s: float) -> None:
    """No policy without a try, without a pause, or whose first pause is its longest."""
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(attempts=attempts, base_s=base_s, cap_s=cap_s)
