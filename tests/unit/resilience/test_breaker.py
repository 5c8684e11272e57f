"""The breaker: opens over faults in a row, sends one probe at a time, and lets everybody go when one succeeds."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import now, virtual
from worker.resilience.breaker import PROBE_PATIENCE_S, THROTTLE_PATIENCE_S, Admission, Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, probe_s=4.0)


@dataclass
class Service:
    """What the breaker stands before: works take `call_s` seconds and fail while it is down, or for themselves."""

    breaker: Breaker
    down: bool = False
    call_s: float = 0.1
    poison: frozenset[str] = frozenset()
    calls: list[tuple[float, str]] = field(default_factory=list)
    running: int = 0
    most: int = 0

    async def call(self, work: str) -> bool:
        """Make one call, and tell the breaker what became of it; return whether it succeeded."""
        async with self.breaker.admit(work) as admission:
            self.calls.append((now(), work))
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await asyncio.sleep(self.call_s)
            finally:
                self.running -= 1
            if self.down or work in self.poison:
                self.breaker.fault(admission, "server_error", suspect=work in self.poison)
                return False
            self.breaker.success()
            return True

    async def until_done(self, work: str) -> float:
        """Call until it succeeds; return when it did."""
        while not await self.call(work):
            pass
        return now()


def breaker(policy: BreakerPolicy = POLICY) -> Breaker:
    """Return a breaker on the running loop's clock."""
    return Breaker("endpoint", policy, clock=now)


async def opened(service: Service) -> None:
    """Let the service go down and the breaker open."""
    service.down = True
    for number in range(POLICY.failures):
        await service.call(f"first-{number}")
    assert service.breaker.open
    service.calls.clear()
    service.most = 0


@given(st.lists(st.booleans(), max_size=12))
@virtual
async def test_it_is_open_after_so_many_faults_in_a_row_and_closed_after_a_success(answers: list[bool]) -> None:
    """Whatever the answers, it is open exactly when the last ones were faults enough."""
    tested, streak = breaker(), 0
    for works in answers:
        streak = 0 if works else streak + 1
        if works:
            tested.success()
        else:
            tested.fault(Admission(probe=False, work=""), "server_error")
        assert tested.open == (streak >= POLICY.failures)
        assert (tested.reason is not None) == tested.open


@given(waiting=st.integers(1, 20), down_s=st.floats(0.1, 300))
@virtual
async def test_one_probe_at_a_time_and_work_goes_on_soon_after_the_return(waiting: int, down_s: float) -> None:
    """However many wait and however long: no two probes at once, and all are done within a probe's pause."""
    service = Service(breaker())
    await opened(service)
    tasks = [asyncio.create_task(service.until_done(f"work-{number}")) for number in range(waiting)]
    await asyncio.sleep(down_s)
    assert service.most <= 1
    assert len(service.calls) <= 5 + down_s / (POLICY.probe_s / 2)
    service.down = False
    back = now()
    assert max(await asyncio.gather(*tasks)) - back <= POLICY.probe_s + 3 * service.call_s + 0.01


@virtual
async def test_a_probe_that_is_cancelled_leaves_the_way_to_another() -> None:
    """A probe that never comes to an end does not keep the breaker open for ever."""
    service = Service(breaker())
    await opened(service)
    service.call_s = 1000.0
    probe = asyncio.create_task(service.call("a"))
    await asyncio.sleep(10)
    other = asyncio.create_task(service.until_done("b"))
    await asyncio.sleep(10)
    assert [work for _, work in service.calls] == ["a"]
    service.down, service.call_s = False, 0.1
    probe.cancel()
    async with asyncio.timeout(POLICY.probe_s + 1):
        await other
    assert await service.call("c")
    assert len(service.calls) == 3


@virtual
async def test_throttles_are_no_outage_unless_nothing_else_comes() -> None:
    """Many throttles between successes leave it closed; nothing but throttles for some seconds open it."""
    tested, admission = breaker(), Admission(probe=False, work="")
    for _ in range(100):
        tested.fault(admission, "throttled", throttled=True)
    assert not tested.open
    await asyncio.sleep(THROTTLE_PATIENCE_S)
    tested.fault(admission, "throttled", throttled=True)
    assert tested.open


@virtual
async def test_a_receipt_without_a_fault_of_its_own_is_the_better_witness() -> None:
    """While only poison has met faults, another receipt probes at once, and closes the breaker."""
    service = Service(breaker(), poison=frozenset({"poison"}))
    for _ in range(POLICY.failures):
        await service.call("poison")
    assert service.breaker.reason == "server_error"
    waiting = asyncio.create_task(service.until_done("poison"))
    await asyncio.sleep(600)
    came = now()
    assert await service.until_done("good") - came <= 2 * service.call_s + 0.01
    assert not service.breaker.open
    waiting.cancel()


@virtual
async def test_it_asks_for_work_only_where_work_would_help() -> None:
    """It wants a receipt to probe with, or a witness beside suspects, and none while others wait or it is closed."""
    tested = breaker()

    def wanted() -> list[bool]:
        return [tested.wants_probe(in_flight, newest=now()) for in_flight in (0, 1, 2)]

    assert wanted() == [False, False, False]
    for _ in range(POLICY.failures):
        tested.fault(Admission(probe=False, work="a"), "model_error", suspect=True)
    assert wanted() == [True, True, False]
    tested.fault(Admission(probe=True, work="b"), "connection")
    assert wanted() == [True, True, False]
    waiter = asyncio.create_task(Service(tested).call("c"))
    await asyncio.sleep(0)
    assert not tested.wants_probe(1, newest=now())
    waiter.cancel()


@virtual
async def test_suspects_get_a_witness_when_nobody_else_has_come_for_a_while() -> None:
    """What is in flight beside a suspect may wait for it: after some seconds that is no reason to take nobody else."""
    tested = breaker()
    for _ in range(POLICY.failures):
        tested.fault(Admission(probe=False, work="a"), "model_error", suspect=True)
    came = now()
    await asyncio.sleep(PROBE_PATIENCE_S - 1)
    assert not tested.wants_extra_probe(2, newest=came)
    await asyncio.sleep(1)
    assert tested.wants_extra_probe(2, newest=came)
    assert not tested.wants_extra_probe(2, newest=now())
    tested.fault(Admission(probe=True, work="b"), "model_error", suspect=True)
    assert not tested.wants_extra_probe(3, newest=came)
    tested.success()
    assert not tested.wants_extra_probe(0, newest=came)


@pytest.mark.parametrize(("failures", "probe_s"), [(0, 1.0), (1, 0.0)])
def test_a_policy_that_cannot_work_is_refused(failures: int, probe_s: float) -> None:
    """No breaker that opens before a fault or probes without a pause."""
    with pytest.raises(ValueError, match="must be"):
        BreakerPolicy(failures=failures, probe_s=probe_s)
