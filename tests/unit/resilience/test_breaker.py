"""The breaker: it opens after consecutive faults, sends one probe at a time, and closes when one succeeds."""

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
    """A dependency behind the breaker. Calls take `call_s` seconds and fail while it is down or if the work is bad."""

    breaker: Breaker
    down: bool = False
    call_s: float = 0.1
    bad: frozenset[str] = frozenset()
    calls: list[tuple[float, str]] = field(default_factory=list)
    running: int = 0
    most: int = 0

    async def call(self, work: str) -> bool:
        """Make one call, report its result to the breaker, and return whether it succeeded."""
        async with self.breaker.admit(work) as admission:
            self.calls.append((now(), work))
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await asyncio.sleep(self.call_s)
            finally:
                self.running -= 1
            if self.down or work in self.bad:
                self.breaker.fault(admission, "server_error", suspect=work in self.bad)
                return False
            self.breaker.success()
            return True

    async def until_done(self, work: str) -> float:
        """Call until it succeeds; return the time of the success."""
        while not await self.call(work):
            pass
        return now()


def breaker(policy: BreakerPolicy = POLICY) -> Breaker:
    """Return a breaker that uses the running loop's clock."""
    return Breaker("endpoint", policy, clock=now)


async def opened(service: Service) -> None:
    """Take the service down and open the breaker."""
    service.down = True
    for number in range(POLICY.failures):
        await service.call(f"first-{number}")
    assert service.breaker.open
    service.calls.clear()
    service.most = 0


@given(st.lists(st.booleans(), max_size=12))
@virtual
async def test_it_opens_after_consecutive_faults_and_closes_on_success(answers: list[bool]) -> None:
    """For any sequence of answers, the breaker is open exactly while the latest ones are enough faults."""
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
async def test_one_probe_runs_at_a_time_and_work_resumes_soon_after_an_outage(waiting: int, down_s: float) -> None:
    """For any number of waiting calls, only one probe runs at a time, and all finish soon after the recovery."""
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
async def test_another_call_probes_after_a_cancelled_probe() -> None:
    """After a cancelled probe another call probes, so the breaker does not stay open."""
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
async def test_only_uninterrupted_throttling_opens_the_breaker() -> None:
    """A burst of throttles leaves the breaker closed; uninterrupted throttling for some seconds opens it."""
    tested, admission = breaker(), Admission(probe=False, work="")
    for _ in range(100):
        tested.fault(admission, "throttled", throttled=True)
    assert not tested.open
    await asyncio.sleep(THROTTLE_PATIENCE_S)
    tested.fault(admission, "throttled", throttled=True)
    assert tested.open


@virtual
async def test_a_receipt_that_has_not_met_the_fault_probes_at_once() -> None:
    """While only a bad receipt has met faults, another receipt probes at once and closes the breaker."""
    service = Service(breaker(), bad=frozenset({"bad"}))
    for _ in range(POLICY.failures):
        await service.call("bad")
    assert service.breaker.reason == "server_error"
    waiting = asyncio.create_task(service.until_done("bad"))
    await asyncio.sleep(600)
    came = now()
    assert await service.until_done("good") - came <= 2 * service.call_s + 0.01
    assert not service.breaker.open
    waiting.cancel()


@virtual
async def test_it_asks_for_a_probe_only_when_one_would_help() -> None:
    """The breaker asks for a probe or one more receipt beside a suspect, but not while others wait or it is closed."""
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
async def test_suspects_get_another_probe_when_no_receipt_has_come_for_a_while() -> None:
    """If no receipt has come for some seconds, the breaker asks for one, as those in flight may wait for a suspect."""
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
    """A breaker must not open before a fault or probe without a pause."""
    with pytest.raises(ValueError, match="must be"):
        BreakerPolicy(failures=failures, probe_s=probe_s)
