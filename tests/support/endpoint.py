"""A SageMaker endpoint for tests, with configurable answers, latency, capacity and faults."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

THROTTLE = ("ThrottlingException", 400, {"message": None})
"""SageMaker's throttle: HTTP 400 and a null message."""


@dataclass
class FakeEndpoint:
    """An endpoint that derives each total from the picture's SHA-256, so that tests can recognise wrong rows."""

    service_s: Callable[[], float] = lambda: 0.0
    capacity: int = 1_000_000
    """Number of concurrent calls above which calls are throttled."""
    fault: Callable[[], str | None] = lambda: None
    """Called for each call. None means an answer, "reset" cuts the connection before the work and "lost" after it.
    Anything else is an error code of SageMaker's runtime."""
    fault_for: Callable[[bytes], str | None] = lambda _: None
    """Called with each picture; returns the same values as `fault`."""
    answer: Callable[[bytes], bytes] | None = None
    calls: Counter[str] = field(default_factory=Counter)
    """Number of served calls by picture (SHA-256)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the latest call."""
    begun: int = 0
    throttled: int = 0
    running: int = 0
    most_running: int = 0
    down: bool = False
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one InvokeEndpoint."""
        body = await request.read()
        self.begun += 1
        self.headers = request.headers
        if self.running >= self.capacity:
            self.throttled += 1
            return _error(*THROTTLE)
        code = "ServiceUnavailable" if self.down else self.fault() or self.fault_for(body)
        if code == "reset":
            return cut(request)
        if code == "throttle":
            self.throttled += 1
            return _error(*THROTTLE)
        if code not in {None, "lost"}:
            return _known_error(code)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.service_s())
        finally:
            self.running -= 1
        self.calls[hashlib.sha256(body).hexdigest()] += 1
        if code == "lost":
            return cut(request)
        answer = self.answer(body) if self.answer else reading(body)
        return web.Response(
            body=answer, content_type="application/json", headers={"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
        )

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["FakeEndpoint"]:
        """Listen on a free port of loopback."""
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_post("/endpoints/{name}/invocations", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def cut(request: web.Request) -> web.Response:
    """Cut the connection of `request`, unless the client has closed it already."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def total_of(picture: bytes) -> str:
    """Return the total that the endpoint reads in `picture`."""
    return f"{int(hashlib.sha256(picture).hexdigest()[:6], 16) / 100:.2f}"


def reading(picture: bytes) -> bytes:
    """Return the endpoint's answer for `picture` in the endpoint protocol `image`."""
    receipt = {
        "merchant": {"name": "Test Shop"},
        "purchase_date": "2026-03-04",
        "currency": "EUR",
        "total": total_of(picture),
    }
    return json.dumps({"receipt": receipt, "confidence": {"total": 0.99}, "model_version": "fake"}).encode()


def _error(code: str, status: int, body: dict[str, Any]) -> web.Response:
    return web.json_response(body, status=status, headers={"x-amzn-ErrorType": code})


def _known_error(code: str) -> web.Response:
    kind, _, original = code.partition(":")
    statuses = {"ModelError": 424, "ServiceUnavailable": 503, "InternalFailure": 500, "ValidationError": 400}
    body: dict[str, Any] = {"message": "as the test wants it"}
    if kind == "ModelError":
        body |= {"OriginalStatusCode": int(original or 500), "OriginalMessage": "as the test wants it"}
    return _error(kind, statuses[kind], body)
