"""The adaptive limit of invocations against a simulated endpoint, in virtual time."""

import asyncio
import random
from dataclasses import dataclass, field
from statistics import fmean

import pytest

from tests.support import virtual
from worker.resilience.limiter import Limiter, LimitPolicy


@dataclass
class SimulatedEndpoint:
    """An endpoint that serves `capacity` concurrent calls, throttles above that, and records the times of both."""

    capacity: int
    service_s: float
    """Median of the log-normal service times."""
    rng: random.Random
    running: int = 0
    calls: list[float] = field(default_factory=list)
    throttles: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)

    async def call(self) -> bool:
        """Return whether the call was served."""
        now = virtual.now()
        self.calls.append(now)
        await asyncio.sleep(0.005)
        if self.running >= self.capacity:
            self.throttles.append(now)
            return False
        self.running += 1
        await asyncio.sleep(self.service_s * self.rng.lognormvariate(0, 0.3))
        self.running -= 1
        return True

    def share_throttled(self, since: float, until: float) -> float:
        made = sum(since <= at < until for at in self.calls)
        return sum(since <= at < until for at in self.throttles) / made

    def mean_limit(self, since: float, until: float) -> float:
        return fmean(limit for at, limit in self.limits if since <= at < until)


async def _client(limiter: Limiter, endpoint: SimulatedEndpoint, rng: random.Random) -> None:
    """Process one receipt after the other, like one permit of a worker."""
    while True:
        served = False
        while not served:
            async with limiter.slot() as slot:
                served = await endpoint.call()
                if served:
                    limiter.succeeded(slot)
                else:
                    limiter.throttled(slot)
            endpoint.limits.append((virtual.now(), limiter.limit))
            if not served:
                await asyncio.sleep(rng.uniform(0, 0.2))
        await asyncio.sleep(rng.uniform(0.01, 0.05))  # store, settle, receive, fetch, prepare


def simulate(service_s: float, seed: int, capacities: dict[float, int], ends: float) -> SimulatedEndpoint:
    """Return the endpoint after `ends` seconds with 64 messages in flight; `capacities` maps times to capacities."""
    rng = random.Random(seed)
    endpoint = SimulatedEndpoint(capacity=capacities[0.0], service_s=service_s, rng=rng)

    async def main() -> None:
        # Enough messages in flight that they do not bound the limit when the capacity doubles.
        limiter = Limiter(clock=virtual.now, policy=LimitPolicy(most=64, start=8))
        clients = [asyncio.create_task(_client(limiter, endpoint, rng)) for _ in range(64)]
        for at, capacity in sorted(capacities.items()):
            await asyncio.sleep(at - virtual.now())
            endpoint.capacity = capacity
        await asyncio.sleep(ends - virtual.now())
        for client in clients:
            client.cancel()

    virtual.run(main())
    return endpoint


SERVICES_S = [0.1, 0.5, 2.0]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("service_s", SERVICES_S)
def test_the_limit_finds_the_endpoints_capacity(service_s: float, seed: int) -> None:
    """At a capacity of 24, the mean limit is 22 to 26, and fewer than 3 % of the calls are throttled."""
    endpoint = simulate(service_s, seed, {0.0: 24}, 300)
    assert 22 <= endpoint.mean_limit(60, 300) <= 26
    assert endpoint.share_throttled(60, 300) < 0.03


@pytest.mark.parametrize("service_s", SERVICES_S)
@pytest.mark.parametrize("capacity", [12, 48])
def test_the_limit_follows_a_change_of_capacity(service_s: float, capacity: int) -> None:
    """Half a minute after the capacity has halved or doubled, the limit is within 10 % of the new capacity."""
    endpoint = simulate(service_s, 1, {0.0: 24, 120.0: capacity}, 210)
    assert endpoint.mean_limit(150, 210) == pytest.approx(capacity, rel=0.1)
