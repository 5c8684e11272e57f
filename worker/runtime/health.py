"""`/health`, `/ready` and `/metrics`: whether the worker lives, whether what it needs is there, what it has done."""

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
    """What health looks at; times are on `clock`, seconds."""

    clock: Callable[[], float]
    last_progress: Callable[[], float]
    """When the poller last did what it should."""
    poll_limit_s: float
    """Time without progress after which the poller counts as stuck."""
    breakers: Sequence[Breaker]
    in_flight: Callable[[], int]
    limit: Callable[[], int]
    stopping: Callable[[], bool]

    def alive(self) -> bool:
        """Tell whether the poller polls as it should; that this answers at all shows that the loop ticks."""
        return self.stopping() or self.clock() - self.last_progress() < self.poll_limit_s

    def report(self) -> dict[str, Any]:
        """Return what a person or a load balancer wants to know."""
        now = self.clock()
        return {
            "status": "stopping" if self.stopping() else "ok" if self.alive() else "stuck",
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
    """Serve health under `app`."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response(vitals.report(), status=200 if vitals.alive() else 503)

    async def ready(_: web.Request) -> web.Response:
        well = vitals.alive() and not vitals.stopping() and not any(breaker.open for breaker in vitals.breakers)
        return web.json_response(vitals.report() | {"ready": well}, status=200 if well else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=telemetry.prometheus(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
