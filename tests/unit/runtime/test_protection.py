"""Task protection: its decisions in virtual time, and its calls against an agent that listens."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

import pytest
from aiohttp import web

from tests.support.virtual import now, virtual
from worker.runtime import protection
from worker.runtime.protection import EXPIRES_MINUTES, IDLE_S, RENEW_S, RETRY_S, Agent, TaskProtection


@dataclass
class FakeAgent:
    """An agent that records its calls; `accepts` is its answer to each."""

    accepts: bool | None = True
    call_s: float = 0.0
    calls: list[tuple[float, bool]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def protect(self, *, on: bool) -> bool | None:
        await asyncio.sleep(self.call_s)
        self.calls.append((now(), on))
        return self.accepts

    @property
    def switched(self) -> list[bool]:
        return [on for _, on in self.calls]


@asynccontextmanager
async def protecting(agent: FakeAgent) -> AsyncIterator[TaskProtection]:
    """Run task protection until the block ends."""
    tested = TaskProtection(cast("Agent", agent), clock=now)
    running = asyncio.create_task(tested.run())
    yield tested
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@virtual
async def test_the_agent_is_called_on_changes_only() -> None:
    """The first message switches the protection on; idleness and the end of the worker switch it off."""
    agent = FakeAgent()
    async with protecting(agent) as tested:
        for in_flight in (1, 2, 3, 2):
            tested.busy(in_flight)
            await asyncio.sleep(1)
        assert agent.switched == [True]
        tested.busy(0)
        await asyncio.sleep(IDLE_S - 1)
        assert agent.switched == [True]
        await asyncio.sleep(2)
        assert agent.switched == [True, False]
        tested.busy(1)
        await asyncio.sleep(1)
    assert agent.switched == [True, False, True, False]


@virtual
async def test_a_pause_between_messages_keeps_the_protection() -> None:
    """A queue that is empty for a moment costs no call."""
    agent = FakeAgent()
    async with protecting(agent) as tested:
        for _ in range(10):
            tested.busy(1)
            await asyncio.sleep(1)
            tested.busy(0)
            await asyncio.sleep(IDLE_S - 1)
        assert agent.switched == [True]


@virtual
async def test_the_protection_is_renewed_before_it_expires() -> None:
    """A task that is busy for hours is protected all the time."""
    agent = FakeAgent()
    async with protecting(agent) as tested:
        tested.busy(1)
        await asyncio.sleep(4 * 3_600)
    times = [at for at, on in agent.calls if on]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= RENEW_S + 1 < EXPIRES_MINUTES * 60


@virtual
async def test_a_change_during_a_call_is_not_missed() -> None:
    """Work that starts while the protection is being switched off is protected too."""
    agent = FakeAgent()
    async with protecting(agent) as tested:
        tested.busy(1)
        await asyncio.sleep(1)
        agent.call_s = 3
        tested.busy(0)
        await asyncio.sleep(IDLE_S + 1)  # the call that switches it off is running
        tested.busy(1)
        await asyncio.sleep(10)
        assert agent.switched == [True, False, True]


@virtual
async def test_a_refusal_is_retried() -> None:
    """A missing permission costs the protection only, until the permission is there."""
    agent = FakeAgent(accepts=False)
    async with protecting(agent) as tested:
        tested.busy(1)
        await asyncio.sleep(RETRY_S * 5.5)
        assert agent.switched == [True] * 6
        agent.accepts = True
        await asyncio.sleep(RETRY_S)
        assert agent.switched == [True] * 7
        await asyncio.sleep(RETRY_S * 3)
        assert agent.switched == [True] * 7


@virtual
async def test_an_uncertain_protection_is_switched_off() -> None:
    """A call without an answer may have protected the task, so idleness switches it off."""
    agent = FakeAgent(accepts=None)
    async with protecting(agent) as tested:
        tested.busy(1)
        await asyncio.sleep(1)
        agent.accepts = True
        tested.busy(0)
        await asyncio.sleep(IDLE_S + 1)
        assert agent.switched[-1] is False


@virtual
async def test_an_agent_that_hangs_does_not_delay_the_end() -> None:
    """The last call has a short time limit."""
    agent = FakeAgent()
    async with protecting(agent) as tested:
        tested.busy(1)
        await asyncio.sleep(1)
        agent.call_s = 1_000
        ends = now()
    assert now() - ends < 1


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [(200, {"protection": {}}, True), (400, {"error": {}}, False), (500, {}, None), (200, [], None), (200, {}, None)],
)
async def test_the_call_is_what_ecs_documents(
    status: int, body: Any, *, accepted: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One PUT with the state and its expiry; the answer says whether the agent accepted."""
    told: list[dict[str, Any]] = []

    async def put(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_put("/task-protection/v1/state", put)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("ECS_AGENT_URI", f"http://127.0.0.1:{runner.addresses[0][1]}/")
    async with Agent(protection.agent_url() or "") as agent:
        assert await agent.protect(on=True) is accepted
        assert await agent.protect(on=False) is accepted
    assert told == [
        {"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES_MINUTES},
        {"ProtectionEnabled": False},
    ]
    await runner.cleanup()


async def test_an_agent_that_does_not_listen_does_not_say() -> None:
    """A refused connection is an answer that is missing, not an error."""
    async with Agent("http://127.0.0.1:9/") as agent:
        assert await agent.protect(on=True) is None


def test_outside_ecs_there_is_no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable that ECS sets, no protection is requested."""
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)
    assert protection.agent_url() is None
