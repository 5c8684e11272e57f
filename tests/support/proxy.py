"""An HTTP proxy between the worker and a service that injects network faults."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

from tests.support.endpoint import cut

Fault = Literal["before", "after", "middle"]
"""When the connection is cut: before the service gets the request, after it has acted, or during its reply."""

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


@dataclass
class FaultyProxy:
    """A proxy that forwards HTTP to `target`, except where a fault cuts the connection."""

    target: str
    fault: Callable[[web.Request], Fault | None] = lambda _: None
    """Called for each request; returns its fault."""
    down: bool = False
    """Cut every connection."""
    bytes_per_s: float | None = None
    """Speed at which replies are forwarded."""
    requests: int = 0
    faults: int = 0
    url: str = ""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._pass_on(request)
        except ConnectionError:  # the client has been killed
            return cut(request)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        fault = "before" if self.down else self.fault(request)
        if fault:
            self.faults += 1
        if fault == "before":
            return cut(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = URL(self.target + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as reply:
            content = await reply.read()
        if fault == "after" or self.down:
            return cut(request)
        return await self._reply(request, reply, content, whole=fault != "middle")

    async def _reply(
        self, request: web.Request, reply: aiohttp.ClientResponse, content: bytes, *, whole: bool
    ) -> web.StreamResponse:
        kept = [(name, value) for name, value in reply.headers.items() if name.lower() not in _HOP_BY_HOP]
        response = web.StreamResponse(status=reply.status, headers=kept)
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        response.content_length = len(content)
        await response.prepare(request)
        if not whole:
            await response.write(content[: len(content) // 2])
            return cut(request)
        if self.bytes_per_s:
            step = max(1, int(self.bytes_per_s / 20))
            for at in range(0, len(content), step):
                await response.write(content[at : at + step])
                await asyncio.sleep(0.05)
        else:
            await response.write(content)
        await response.write_eof()
        return response

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["FaultyProxy"]:
        """Listen on a free port of loopback."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()
