"""The real console on Terraform's resources: every action of a user, and the permissions that it needs."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.component.emulators import Emulator
from tests.infra.deployment import Process, clients, event, role_policy, running, task_environment
from tests.infra.offline import State
from tests.infra.recorder import NOT_A_CALL, Policy
from tests.support.endpoint import FakeEndpoint
from tests.support.pictures import picture
from worker.console.schemas import id_of

TOKEN = "a token that only this test knows"
SMALL, LARGE = picture(11), picture(12) + bytes(6 * 1024 * 1024)
TOO_LARGE = picture(13) + bytes(9 * 1024 * 1024)

REFUSED = {"without the token": 401, "too large": 413}
"""Requests that must be refused."""


@dataclass(frozen=True)
class Visit:
    """The results of a user's visit."""

    answers: dict[str, int]
    """Status of each answer, by request."""
    process: Process


def test_everything_is_answered(visit: Visit) -> None:
    """Every request succeeds, except without the token or with a file that is too large."""
    assert {name: status for name, status in visit.answers.items() if status >= 400} == REFUSED


def test_each_permission_that_the_console_uses_is_granted(visit: Visit, console_policy: Policy) -> None:
    """The console's role allows every call that was made."""
    assert not {call for call in visit.process.calls if not console_policy.allows(call)}


def test_each_permission_that_is_granted_is_used(visit: Visit, console_policy: Policy) -> None:
    """Every permission of the console's role is used by a call."""
    assert not [
        f"{grant.sid}: {grant.action}"
        for grant in console_policy.grants
        if grant.action not in NOT_A_CALL and not any(grant.covers(call) for call in visit.process.calls)
    ]


@pytest.fixture(scope="session")
def console_policy(deployed: State) -> Policy:
    """Return the policy of the console's task role."""
    return role_policy(deployed, "module.console_task[0].aws_iam_role_policy.task")


@pytest.fixture(scope="session")
def visit(deployed: State, moto: Emulator) -> Visit:
    """Perform every action of a user, once for all tests."""
    return asyncio.run(_visit(deployed, moto))


async def _visit(state: State, moto: Emulator) -> Visit:
    given = task_environment(state, "module.console[0].aws_ecs_task_definition.console")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    changes = {"API_TOKEN": TOKEN, "HTTP_PORT": str(port), "UPLOAD_LIMIT_MIB": "8"}
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(FakeEndpoint().serve())
        http = await stack.enter_async_context(
            aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"})
        )
        works = task_environment(state, "module.worker.aws_ecs_task_definition.worker")
        await stack.enter_async_context(
            running(
                works | {"RECEIPTS_RECEIVE_WAIT_S": "1"},
                verb="worker",
                emulator=moto,
                endpoint=endpoint,
                service="receipts-worker",
            )
        )
        process = await stack.enter_async_context(
            running(
                given,
                verb="console",
                emulator=moto,
                endpoint=endpoint,
                service="receipts-console",
                **{f"RECEIPTS_{name}": value for name, value in changes.items()},
            )
        )
        aws = await clients(stack, moto.url)
        bucket, key = given["RECEIPTS_BUCKET"], "in/with-a-version.jpg"
        put = await aws.s3.put_object(Bucket=bucket, Key=key, Body=picture(14))
        message = event(bucket, key, version_id=put["VersionId"])
        await aws.sqs.send_message(QueueUrl=given["RECEIPTS_QUEUE_URL"], MessageBody=message)
        person = _Person(http)
        await person.visit(versioned=id_of(f"{bucket}/{key}"))
    return Visit(answers=person.answers, process=process)


class _Person:
    """A user with the token."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.answers: dict[str, int] = {}

    async def visit(self, *, versioned: str) -> None:
        """Perform every action. `versioned` is the id of a receipt with a known version."""
        await self._wait("/health")
        receipt = f"/v1/receipts/{(await self._upload('small', SMALL))['id']}"
        await self._upload("large", LARGE)
        await self._upload("too large", TOO_LARGE)
        await self._wait(receipt)
        record = await self._ask("a record", "GET", receipt)
        await self._ask("the page", "GET", "/console/")
        await self._ask("a list", "GET", "/v1/receipts")
        await self._ask("a list by status", "GET", "/v1/receipts?status=extracted&status=needs_review")
        link = await self._ask("the image", "GET", f"{receipt}/image", headers={"Accept": "application/json"})
        async with aiohttp.request("GET", link["url"]) as answer:
            self.answers["the image itself"] = answer.status
        await self._ask("a preview", "GET", f"{receipt}/preview")
        await self._wait(
            f"/v1/receipts/{versioned}", has="version_id"
        )  # moto's own event, without a version, may come first
        await self._ask("a preview of a version", "GET", f"/v1/receipts/{versioned}/preview")
        await self._ask("a correction", "PATCH", f"{receipt}/corrections", json={"corrections": {"total": "12.34"}})
        await self._ask("an approval", "POST", f"{receipt}/approval", json={})
        replay = await self._ask("a replay", "POST", "/v1/replays", json={"ids": [record["id"]]})
        await self._ask("its progress", "GET", f"/v1/replays/{replay['replay_id']}")
        await self._ask("statistics", "GET", "/v1/stats")
        await self._ask("the queue", "GET", "/v1/queue")
        await self._ask("what happens now", "GET", "/v1/live")
        async with self._http.get("/v1/receipts", headers={"Authorization": "Bearer wrong"}) as answer:
            self.answers["without the token"] = answer.status

    async def _upload(self, name: str, data: bytes) -> Any:
        return await self._ask(
            name, "POST", f"/v1/receipts?name={name}.jpg", data=_parts(data), headers={"Content-Type": "image/jpeg"}
        )

    async def _ask(self, name: str, method: str, path: str, **more: Any) -> Any:
        async with self._http.request(method, path, **more) as answer:
            self.answers[name] = answer.status
            text = await answer.read()
        if name not in REFUSED:
            assert answer.status < 400, f"{name}: {text.decode()}"
        return json.loads(text) if answer.content_type == "application/json" else None

    async def _wait(self, path: str, *, has: str = "") -> None:
        """Wait until `path` exists and its field `has` has a value."""
        async with asyncio.timeout(60):
            while True:
                try:
                    async with self._http.get(path) as answer:
                        if answer.status == 200 and (not has or (await answer.json()).get(has)):
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.2)


async def _parts(data: bytes) -> Any:
    """Yield `data` without a known length, like a browser that reads from a camera."""
    for start in range(0, len(data), 256 * 1024):
        yield data[start : start + 256 * 1024]
