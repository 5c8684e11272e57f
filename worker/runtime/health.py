"""`/health`, `/ready` and `/metrics`: whether the worker polls, whether its dependencies work, and its metrics."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from worker.resilience.breaker import Breaker
from worker.telemetry import Telemetry


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """The sources of the health report; times are on `clock`, in seconds."""

    clock: Callable[[], float]
    last_progress: Callable[[], float]
    """Time at which the poller last polled, or waited for a known reason."""
    poll_limit_s: float
    """Seconds without progress after which the poller counts as stuck."""
    breakers: Sequence[Breaker]
    in_flight: Callable[[], int]
    limit: Callable[[], int]
    stopping: Callable[[], bool]
    started: Callable[[], bool] = lambda: True
    """False while the worker waits for its queue."""

    def alive(self) -> bool:
        """Return whether the poller makes progress. The answer itself shows that the event loop runs."""
        return self.stopping() or self.clock() - self.last_progress() < self.poll_limit_s

    def ready(self) -> bool:
        """Return whether the worker takes messages."""
        return self._status() == "ok" and not any(breaker.open for breaker in self.breakers)

    def _status(self) -> str:
        if self.stopping():
            return "stopping"
        if not self.started():
            return "starting"
        return "ok" if self.alive() else "stuck"

    def report(self) -> dict[str, Any]:
        """Return the report, for people and load balancers."""
        now = self.clock()
        return {
            "status": self._status(),
            "in_flight": self.in_flight(),
            "invocation_limit": self.limit(),
            "seconds_since_poll": round(max(0.0, now - self.last_progress()), 1),
            "breakers": {breaker.name: _breaker(breaker, now) for breaker in self.breakers},
        }


def _breaker(breaker: Breaker, now: float) -> dict[str, Any]:
    if breaker.opened_at is None:
        return {"open": False}
    since = time.time() - (now - breaker.opened_at)
    return {
        "open": True,
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since)),
        "seconds": round(now - breaker.opened_at, 1),
        "reason": breaker.reason,
    }


def add_routes(app: web.Application, vitals: Vitals, telemetry: Telemetry) -> None:
    """Add the three routes to `app`."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response(vitals.report(), status=200 if vitals.alive() else 503)

    async def ready(_: web.Request) -> web.Response:
        is_ready = vitals.ready()
        return web.json_response(vitals.report() | {"ready": is_ready}, status=200 if is_ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=telemetry.prometheus(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
