"""A local deployment: processes with the environment of the task definitions, observed by a proxy."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aioboto3

from tests.component.emulators import Emulator
from tests.infra.offline import ACCOUNT, State
from tests.infra.recorder import AGENT, METADATA, Call, Policy, Recorder
from tests.support.endpoint import FakeEndpoint
from worker.commands.support import local_stack
from worker.workbench.local import environment

REGION = "eu-central-1"


@dataclass
class Process:
    """A finished container process: its calls, its output and its exit code."""

    environment: dict[str, str]
    calls: set[Call]
    output: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Lines of embedded metric format."""
        return [line for line in self.output if "_aws" in line]


@dataclass(frozen=True)
class Aws:
    """Clients that bypass the proxy."""

    s3: Any
    sqs: Any
    dynamodb: Any


def task_environment(state: State, address: str) -> dict[str, str]:
    """Return the environment of the first container of the task definition at `address`."""
    (container,) = json.loads(state.one(address)["container_definitions"])
    return {pair["name"]: pair["value"] for pair in container["environment"]}


def role_policy(state: State, address: str) -> Policy:
    """Return the role's policy at `address`."""
    return Policy.parse(state.one(address)["policy"])


@contextlib.asynccontextmanager
async def running(
    given: dict[str, str], *, verb: str, emulator: Emulator, endpoint: FakeEndpoint, service: str, **changes: str
) -> AsyncIterator[Process]:
    """Run `receipts VERB` with the environment `given`, overridden by `changes`; stop it with SIGTERM."""
    recorder = Recorder(
        emulator=emulator.url, runtime=endpoint.url, region=REGION, account=ACCOUNT, cluster="receipts", service=service
    )
    async with recorder.serve():
        variables = {
            **local_stack.isolated(os.environ, also=("RECEIPTS_",)),
            **aws_environment(recorder.url),
            **given,
            "RECEIPTS_HTTP_HOST": "127.0.0.1",
            "RECEIPTS_HTTP_PORT": "0",
            "ECS_AGENT_URI": recorder.url + AGENT,
            "ECS_CONTAINER_METADATA_URI_V4": recorder.url + METADATA,
            **changes,
        }
        child = await asyncio.create_subprocess_exec(
            sys.executable, *("-m", "worker", verb), env=variables, stdout=asyncio.subprocess.PIPE
        )
        process = Process(environment=variables, calls=recorder.calls)
        try:
            yield process
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
            output, _ = await asyncio.wait_for(child.communicate(), 60)
            process.output = [json.loads(line) for line in output.decode().splitlines()]
            process.exit_code = child.returncode


def aws_environment(url: str) -> dict[str, str]:
    """Return the variables that point every service at `url`."""
    return environment.aws(emulator_url=url, runtime_url=url) | {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


async def clients(stack: AsyncExitStack, url: str) -> Aws:
    """Return clients of the emulator at `url`."""
    session = aioboto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    made = {
        "s3": await stack.enter_async_context(session.client("s3", endpoint_url=url)),
        "sqs": await stack.enter_async_context(session.client("sqs", endpoint_url=url)),
        "dynamodb": await stack.enter_async_context(session.resource("dynamodb", endpoint_url=url)),
    }
    return Aws(**made)


def event(bucket: str, key: str, **version: str) -> str:
    """Return an S3 event like those of AWS. Those of moto have neither version nor sequencer."""
    names = {"version_id": "versionId"}
    about = {"key": key, "size": 1, "eTag": "0", "sequencer": "0055AED6DCD90281E5"}
    about |= {names[name]: value for name, value in version.items()}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2099-01-01T00:00:00.000Z",  # later than moto's own event of the same upload
        "s3": {"bucket": {"name": bucket}, "object": about},
    }
    return json.dumps({"Records": [record]})
