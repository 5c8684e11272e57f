"""What `/health`, `/ready` and `/metrics` answer to whoever looks after the worker."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.resilience.breaker import Admission, Breaker, BreakerPolicy
from worker.runtime.health import Vitals, add_routes
from worker.telemetry import Telemetry


@dataclass
class State:
    """What the worker is said to be doing."""

    now: float = 1_000.0
    last_progress: float = 1_000.0
    stopping: bool = False


class Health:
    """A served health, and the state behind it."""

    def __init__(self, http: aiohttp.ClientSession, state: State, breaker: Breaker, telemetry: Telemetry) -> None:
        self.http, self.state, self.breaker, self.telemetry = http, state, breaker, telemetry

    async def ask(self, path: str) -> tuple[int, dict[str, object]]:
        """Return the status and the document at `path`."""
        async with self.http.get(path) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    """A worker in its best health."""
    state, telemetry = State(), Telemetry(service="receipts-worker")
    breaker = Breaker("sagemaker", BreakerPolicy(failures=1), clock=lambda: state.now)
    vitals = Vitals(
        clock=lambda: state.now,
        last_progress=lambda: state.last_progress,
        poll_limit_s=80.0,
        breakers=[breaker],
        in_flight=lambda: 7,
        limit=lambda: 24,
        stopping=lambda: state.stopping,
    )
    app = web.Application()
    add_routes(app, vitals, telemetry)
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as http:
        yield Health(http, state, breaker, telemetry)


async def test_a_worker_that_polls_is_alive_and_ready(health: Health) -> None:
    """Both answer 200, and say what is in flight."""
    assert await health.ask("/ready") == (200, (await health.ask("/health"))[1] | {"ready": True})
    assert await health.ask("/health") == (
        200,
        {
            "status": "ok",
            "in_flight": 7,
            "invocation_limit": 24,
            "seconds_since_poll": 0.0,
            "breakers": {"sagemaker": {"open": False}},
        },
    )


async def test_a_poller_that_is_stuck_is_not_alive(health: Health) -> None:
    """Once the time to poll has passed both answer 503, unless it is stopping, when nobody polls."""
    health.state.now += 79.9
    assert (await health.ask("/health"))[0] == 200
    health.state.now += 0.1
    status, told = await health.ask("/health")
    assert (status, told["status"]) == (503, "stuck")
    assert (await health.ask("/ready"))[0] == 503
    health.state.stopping = True
    status, told = await health.ask("/health")
    assert (status, told["status"]) == (200, "stopping")
    assert (await health.ask("/ready"))[0] == 503


async def test_an_open_breaker_is_named_and_no_reason_to_be_killed(health: Health) -> None:
    """An outage elsewhere makes the worker unready, not unhealthy: replacing it would mend nothing."""
    health.breaker.fault(Admission(probe=False, work="a"), "connection")
    health.state.now += 12
    health.state.last_progress = health.state.now
    assert (await health.ask("/health"))[0] == 200
    status, told = await health.ask("/ready")
    assert status == 503
    breakers = told["breakers"]
    assert isinstance(breakers, dict)
    found = breakers["sagemaker"]
    assert found.pop("since").endswith("Z")
    assert found == {"open": True, "seconds": 12.0, "reason": "connection"}


async def test_metrics_are_prometheus_text(health: Health) -> None:
    """Each counted thing is in the text under the worker's name."""
    health.telemetry.count("Extracted")
    async with health.http.get("/metrics") as answer:
        text = await answer.text()
    assert answer.content_type == "text/plain"
    assert "xtracted" in text
