"""The connections of an AWS client, shared by botocore and the direct calls, and a record of what botocore sends."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from botocore.httpsession import ProxyConfiguration


class NotSent(Exception):  # not an error
    """A request was recorded and deliberately not sent."""


@dataclass
class Recording:
    """The requests that botocore builds in the current task, each with the pool that would send it."""

    send: bool
    """Whether the requests are sent. If not, the pool raises `NotSent`."""
    requests: list[tuple["Pool", Any]] = field(default_factory=list)


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def recording(*, send: bool) -> Iterator[Recording]:
    """Record the requests that botocore builds in this block; pass them on to AWS only if `send`."""
    current = Recording(send)
    before = _recording.set(current)
    try:
        yield current
    finally:
        _recording.reset(before)


class Pool(AIOHTTPSession):
    """The connection pool of one client: aiobotocore's own, which the direct calls share."""

    def __init__(self, *arguments: Any, whole_s: float | None = None, **more: Any) -> None:
        """Bound each call by `whole_s` seconds up to the last byte of its answer.

        botocore's own limits restart with each part of an answer.
        """
        super().__init__(*arguments, **more)
        if whole_s:  # The total also bounds each part. A timer per part would cost a twentieth of a call.
            self._timeout = aiohttp.ClientTimeout(total=whole_s, sock_connect=self._timeout.sock_connect)
        self._plain: dict[str | None, aiohttp.ClientSession] = {}

    # Private members of the base class, absent from its published types. aiobotocore offers no public way to reuse
    # its connections and proxy settings, and a second pool would double the connections and TLS handshakes.
    _exit_stack: AsyncExitStack
    _proxy_config: ProxyConfiguration
    _timeout: aiohttp.ClientTimeout
    _get_session: Callable[[str | None], Awaitable[aiohttp.ClientSession]]

    async def send(self, request: Any) -> Any:
        """Send a request that botocore built, or record it if a `recording` is active."""
        if current := _recording.get():
            current.requests.append((self, request))
            if not current.send:
                raise NotSent
        return await super().send(request)

    async def session_for(self, url: str) -> tuple[aiohttp.ClientSession, dict[str, Any]]:
        """Return the session for requests to `url`, and the arguments that name its proxy.

        The session shares botocore's connections. It keeps no cookies, and builds requests at a lower cost.
        """
        proxy = self._proxy_config.proxy_url_for(url)
        if proxy not in self._plain:
            botocores = await self._get_session(proxy)
            self._plain[proxy] = await self._exit_stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=botocores.connector,
                    connector_owner=False,
                    timeout=botocores.timeout,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                )
            )
        through = {"proxy": proxy, "proxy_headers": self._proxy_config.proxy_headers_for(url)} if proxy else {}
        return self._plain[proxy], through
