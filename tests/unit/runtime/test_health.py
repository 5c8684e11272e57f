"""The answers of `/health`, `/ready` and `/metrics`."""

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
    """The worker's state that the tests set."""

    now: float = 1_000.0
    last_progress: float = 1_000.0
    stopping: bool = False


class Health:
    """A client of the served routes, and the state behind them."""

    def __init__(self, http: aiohttp.ClientSession, state: State, breaker: Breaker, telemetry: Telemetry) -> None:
        self.http, self.state, self.breaker, self.telemetry = http, state, breaker, telemetry

    async def ask(self, path: str) -> tuple[int, dict[str, object]]:
        """Return the HTTP status and the JSON answer of `path`."""
        async with self.http.get(path) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    """The routes of a healthy worker."""
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


async def test_a_worker_that_polls_is_healthy_and_ready(health: Health) -> None:
    """Both routes answer 200 with the messages in flight."""
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


async def test_a_stuck_poller_is_unhealthy(health: Health) -> None:
    """After the poll limit both routes answer 503. A stopping worker does not poll, so it stays healthy."""
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


async def test_an_open_breaker_is_named_and_makes_the_worker_unready_only(health: Health) -> None:
    """An outage of a dependency makes the worker unready but not unhealthy: a replacement would not help."""
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
    """The metrics are plain text and contain a counter that has been counted."""
    health.telemetry.count("Extracted")
    async with health.http.get("/metrics") as answer:
        text = await answer.text()
    assert answer.content_type == "text/plain"
    assert "xtracted" in text
