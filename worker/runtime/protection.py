"""ECS task protection: a scale-in never stops a task that is working.

The agent is called when the task becomes busy or idle, and to renew the protection. If a call fails, only the
protection is lost. A protected task gets no SIGTERM on scale-in or deployment, so the protection ends soon after the
work (docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html).
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Self

import aiohttp
import structlog

from worker.resilience.sync import wait_for

log = structlog.get_logger(__name__)

EXPIRES_MINUTES = 10
"""Minutes after which a protection ends unless it is renewed, so that ECS can stop a task that hangs (1 to 2,880)."""
RENEW_S = 240.0
IDLE_S = 5.0
"""Seconds without work after which the protection is given up: queues often pause for a moment."""
TIMEOUT_S = 5.0
FAREWELL_S = 0.5
"""Time limit for the last call, seconds: an agent that hangs must not delay the end of the task."""
RETRY_S = 10.0


def agent_url() -> str | None:
    """Return the URL of the ECS agent, or None outside ECS."""
    uri = os.environ.get("ECS_AGENT_URI")
    return f"{uri.rstrip('/')}/task-protection/v1/state" if uri else None


class Agent:
    """The ECS agent. Use it as an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def protect(self, *, on: bool) -> bool | None:
        """Switch the protection on or off; return whether the agent accepted, or None if it did not say."""
        body: dict[str, object] = {"ProtectionEnabled": on}
        if on:
            body["ExpiresInMinutes"] = EXPIRES_MINUTES
        try:
            async with self._session.put(self._url, json=body) as reply:
                if 400 <= reply.status < 500:
                    log.warning("protection.refused", status=reply.status)
                    return False
                if reply.status == 200 and "protection" in await reply.json(content_type=None):
                    return True
                log.warning("protection.not_answered", status=reply.status)
        except (aiohttp.ClientError, TimeoutError, ValueError, TypeError) as error:
            log.warning("protection.failed", error=type(error).__name__)
        return None


class TaskProtection:
    """Keeps the task protected while messages are in flight."""

    def __init__(self, agent: Agent, *, clock: Callable[[], float]) -> None:
        self._agent = agent
        self._clock = clock
        self._busy = False
        self._protected = False  # also True after a call without an answer: the agent may have received it
        self._renew_at = 0.0
        self._changed = asyncio.Event()

    def busy(self, in_flight: int) -> None:
        """Record the number of messages in flight."""
        if (in_flight > 0) != self._busy:
            self._busy = in_flight > 0
            self._changed.set()

    async def run(self) -> None:
        """Call the agent on each change until cancelled; then give up the protection."""
        async with self._agent:
            try:
                while True:
                    self._changed.clear()  # before the step, so that a change during its call is not missed
                    pause = await self._step()
                    await wait_for(self._changed, pause)
            finally:
                if self._protected:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FAREWELL_S):
                            await self._agent.protect(on=False)

    async def _step(self) -> float | None:
        """Update the agent; return the seconds until the next step, or None to wait for a change."""
        if self._busy:
            if not self._protected or self._clock() >= self._renew_at:
                accepted = await self._agent.protect(on=True)
                self._protected = self._protected or accepted is not False
                self._renew_at = self._clock() + (RENEW_S if accepted else RETRY_S)
            return max(0.0, self._renew_at - self._clock())
        if self._protected:
            await wait_for(self._changed, IDLE_S)
            if self._still_idle() and await self._agent.protect(on=False):
                self._protected = False
        return RETRY_S if self._protected else None

    def _still_idle(self) -> bool:
        return not self._busy
