"""A model container whose answers the test sets, behind the front that implements SageMaker's runtime API."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from worker.workbench.local.emulator import listen, url
from worker.workbench.local.endpoint import Front
from worker.workbench.local.environment import ENDPOINT, REGION

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

READING = {"receipt": {"merchant": {"name": "Corner Shop"}, "total": "12.34"}, "confidence": {}}


async def answers_reading(request: web.Request) -> web.Response:
    """Answer in the format of the embedded reader."""
    await request.read()
    return web.json_response(READING)


class Container:
    """A model container. `handler`, which tests may replace, answers each invocation; `seen` has the requests."""

    def __init__(self) -> None:
        self.handler: Handler = answers_reading
        self.seen: list[tuple[dict[str, str], bytes]] = []

    @property
    def bodies(self) -> list[Any]:
        """The JSON bodies of the requests."""
        return [json.loads(body) for _, body in self.seen]

    async def invocations(self, request: web.Request) -> web.StreamResponse:
        """Record and answer one invocation."""
        self.seen.append((dict(request.headers), await request.read()))
        return await self.handler(request)


@asynccontextmanager
async def served(container: Container) -> AsyncIterator[str]:
    """Serve `container`; yield its address."""
    app = web.Application(client_max_size=0)
    app.router.add_post("/invocations", container.invocations)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = listen(0)
    await web.SockSite(runner, listener).start()
    try:
        yield url(listener)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def endpoint(
    container: Container, *, account: str = "000000000000", timeout_s: float = 60
) -> AsyncIterator[Front]:
    """Serve `container` behind a front; yield the front."""
    async with (
        served(container) as address,
        Front(endpoint=ENDPOINT, container_url=address, account=account, region=REGION, timeout_s=timeout_s) as front,
    ):
        yield front
