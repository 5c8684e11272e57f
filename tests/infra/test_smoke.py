"""`infra/smoke.sh`: what a person with an account runs. Here terraform only writes down what it is told, on moto."""

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.component.emulators import Emulator
from tests.infra.deployment import aws_environment, running, task_environment
from tests.infra.offline import BASIC, INFRA, Offline, State
from tests.support.endpoint import FakeEndpoint
from worker.commands.support import local_stack

TERRAFORM = """#!/bin/sh
# Writes down what it is told; keeps the directory of an apply, and answers with the outputs of a stack that stands.
echo "$@" >> "$TOLD/commands"
case "$2" in
apply) cp -R "${1#-chdir=}/.." "$TOLD/applied" ;;
output) cat "$TOLD/outputs.json" ;;
esac
"""
AWS = """#!/bin/sh
# The CLI of version 1 goes where a queue's URL points to, unless it is told otherwise.
exec {aws} --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""
SOMEBODYS = {**BASIC, "bucket": "our-scans", "filters": [{"prefix": "in/"}], "alarm_emails": ["ops@example.com"]}
"""Variables of a stack that stands: its bucket and its mails must be left alone."""


@dataclass(frozen=True)
class Smoke:
    """What came of a run."""

    code: int
    said: str
    commands: list[str]
    applied: Path


def test_it_passes(smoke: Smoke) -> None:
    """Expect a receipt, its copy, what is none and a replay to be seen, and everything taken down after it."""
    assert smoke.code == 0, smoke.said
    assert [line.split()[1] for line in smoke.commands] == ["init", "apply", "output", "destroy"]
    assert smoke.said.splitlines()[-1].endswith("passed")


def test_terraform_works_on_a_copy_that_is_gone_afterwards(smoke: Smoke) -> None:
    """Expect one directory for all commands, outside the project: the state of a stack that stands is elsewhere."""
    (place,) = {Path(line.split()[0].removeprefix("-chdir=")) for line in smoke.commands}
    assert not place.is_relative_to(INFRA)
    assert not place.exists()


def test_it_makes_a_stack_of_its_own(smoke: Smoke, offline: Offline) -> None:
    """Expect another name, a bucket of its own and no mail, and nothing that refuses to be destroyed."""
    state = offline.apply("custom", {}, of=smoke.applied)
    assert state.output("bucket").startswith("rcpt-smoke-")
    assert state.output("table").startswith("rcpt-smoke-")
    assert state.one("module.intake.aws_s3_bucket.uploads[0]")["force_destroy"]
    assert not state.one("module.results.aws_dynamodb_table.results")["deletion_protection_enabled"]
    assert not state.resources("aws_sns_topic_subscription")
    (queue,) = state.one("module.intake.aws_s3_bucket_notification.uploads[0]")["queue"]
    assert not queue["filter_prefix"]


def test_a_row_that_never_comes_fails_it(deployed: State, moto: Emulator, tmp_path: Path) -> None:
    """Expect exit 1 where nobody works, and the stack to be destroyed all the same."""
    smoke = _run(_prepare(tmp_path, deployed), moto, wait_s=1)
    assert smoke.code == 1
    assert "no such row" in smoke.said
    assert smoke.commands[-1].split()[1] == "destroy"


@pytest.fixture(scope="module")
def smoke(deployed: State, moto: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    """Run it once for all tests, while a worker works."""
    return asyncio.run(_smoke(deployed, moto, _prepare(tmp_path_factory.mktemp("smoke"), deployed)))


async def _smoke(state: State, moto: Emulator, told: Path) -> Smoke:
    given = task_environment(state, "module.worker.aws_ecs_task_definition.worker") | {"RECEIPTS_RECEIVE_WAIT_S": "1"}
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(FakeEndpoint().serve())
        worker = running(given, verb="worker", emulator=moto, endpoint=endpoint, service="receipts-worker")
        await stack.enter_async_context(worker)
        return await asyncio.to_thread(_run, told, moto, wait_s=60)


def _prepare(told: Path, state: State) -> Path:
    """Put the tools and a file of variables into `told`."""
    if not (aws := shutil.which("aws")) or not shutil.which("jq"):
        pytest.skip("aws or jq is not installed")
    for name, script in (("terraform", TERRAFORM), ("aws", AWS.format(aws=aws))):
        (told / name).write_text(script)
        (told / name).chmod(0o755)
    (told / "outputs.json").write_text(json.dumps(state.document["values"]["outputs"]))
    (told / "mine.tfvars.json").write_text(json.dumps(SOMEBODYS))
    return told


def _run(told: Path, moto: Emulator, *, wait_s: int) -> Smoke:
    variables = {
        **local_stack.isolated(os.environ),
        **aws_environment(moto.url),
        "PATH": f"{told}:{os.environ['PATH']}",
        "TOLD": str(told),
        "SMOKE_WAIT_S": str(wait_s),
    }
    line = [str(INFRA / "smoke.sh"), "custom", str(told / "mine.tfvars.json")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=240, env=variables)
    commands = (told / "commands").read_text().splitlines()
    return Smoke(code=done.returncode, said=done.stdout + done.stderr, commands=commands, applied=told / "applied")
