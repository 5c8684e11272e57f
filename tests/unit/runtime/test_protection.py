"""Task protection, against an agent that is really listening."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from worker.runtime import protection
from worker.runtime.protection import TaskProtection


@dataclass
class Agent:
    """ECS's agent: keeps what it was told."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    answer_s: float = 0.0
    refuse: bool = False
    broken: bool = False
    """Do as told, and answer with a 500."""

    async def put(self, request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(self.answer_s)
        if self.broken:
            self.told.append(body)
            return web.Response(status=500, text="no")
        if self.refuse:
            return web.json_response({"error": {"Code": "AccessDeniedException"}}, status=400)
        self.told.append(body)
        return web.json_response({"protection": {"ProtectionEnabled": body["ProtectionEnabled"]}})

    @property
    def protected(self) -> list[bool]:
        return [body["ProtectionEnabled"] for body in self.told]


@pytest.fixture
async def agent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    monkeypatch.setattr(protection, "IDLE_S", 0.05)
    monkeypatch.setattr(protection, "RETRY_S", 0.05)
    agent = Agent()
    app = web.Application()
    app.router.add_put("/task-protection/v1/state", agent.put)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("ECS_AGENT_URI", f"http://127.0.0.1:{runner.addresses[0][1]}/")
    agent.url = protection.agent_url() or ""
    yield agent
    await runner.cleanup()


async def until(agent: Agent, protected: list[bool]) -> None:
    async with asyncio.timeout(10):
        while agent.protected != protected:
            await asyncio.sleep(0.01)


async def test_the_agent_hears_of_edges_only(agent: Agent) -> None:
    """Busy protects once, however many messages there are; idle ends it; so does the end of the worker."""
    guard = TaskProtection(agent.url, clock=time.monotonic)
    running = asyncio.create_task(guard.run())
    for in_flight in (1, 2, 3, 2):
        guard.busy(in_flight)
    await until(agent, [True])
    assert 1 <= agent.told[0]["ExpiresInMinutes"] <= 2_880
    guard.busy(0)
    await until(agent, [True, False])
    guard.busy(1)
    await until(agent, [True, False, True])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert agent.protected == [True, False, True, False]


async def test_an_edge_during_a_call_is_not_missed(agent: Agent) -> None:
    """Work that begins while the agent is being told of idleness is protected too."""
    guard = TaskProtection(agent.url, clock=time.monotonic)
    running = asyncio.create_task(guard.run())
    guard.busy(1)
    await until(agent, [True])
    agent.answer_s = 0.3
    guard.busy(0)
    await asyncio.sleep(0.2)  # the call that ends protection is under way
    guard.busy(1)
    agent.answer_s = 0.0
    await until(agent, [True, False, True])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_refusal_is_tried_again_and_ends_nothing(agent: Agent) -> None:
    """A missing permission costs the protection only, until it is there."""
    agent.refuse = True
    guard = TaskProtection(agent.url, clock=time.monotonic)
    running = asyncio.create_task(guard.run())
    guard.busy(1)
    await asyncio.sleep(0.2)
    assert not running.done()
    agent.refuse = False
    await until(agent, [True])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_an_agent_heard_but_did_not_answer_is_taken_back(agent: Agent) -> None:
    """A call whose answer is an error may have protected the task: idle ends that too."""
    agent.broken = True
    guard = TaskProtection(agent.url, clock=time.monotonic)
    running = asyncio.create_task(guard.run())
    guard.busy(1)
    await until(agent, [True])
    agent.broken = False
    guard.busy(0)
    await until(agent, [True, False])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert agent.protected == [True, False]


async def test_an_agent_that_hangs_does_not_hold_up_the_end(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last call is given up soon, long before its time-out."""
    monkeypatch.setattr(protection, "TIMEOUT_S", 1_000.0)
    guard = TaskProtection(agent.url, clock=time.monotonic)
    running = asyncio.create_task(guard.run())
    guard.busy(1)
    await until(agent, [True])
    agent.answer_s = 1_000.0
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=10)
    assert done


def test_without_an_agent_there_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside ECS nothing is protected."""
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)
    assert protection.agent_url() is None
