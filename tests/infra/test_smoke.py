"""`infra/smoke.sh`, run against moto with a fake terraform that records its commands."""

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
# Records its arguments, keeps the directory of an apply, and prints the outputs of an existing stack.
echo "$@" >> "$TOLD/commands"
case "$2" in
apply) cp -R "${1#-chdir=}/.." "$TOLD/applied" ;;
output) cat "$TOLD/outputs.json" ;;
esac
"""
AWS = """#!/bin/sh
# Version 1 of the CLI sends requests to the host of a queue's URL unless an endpoint is given.
exec {aws} --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""
SOMEBODYS = {**BASIC, "bucket": "our-scans", "filters": [{"prefix": "in/"}], "alarm_emails": ["ops@example.com"]}
"""Variables of an existing stack, whose bucket must not be used and whose addresses must get no mail."""


@dataclass(frozen=True)
class Smoke:
    """The results of a run."""

    code: int
    said: str
    commands: list[str]
    applied: Path


def test_it_passes(smoke: Smoke) -> None:
    """A receipt, its copy, a text file and a replay have the expected results, and the stack is destroyed."""
    assert smoke.code == 0, smoke.said
    assert [line.split()[1] for line in smoke.commands] == ["init", "apply", "output", "destroy"]
    assert smoke.said.splitlines()[-1].endswith("passed")


def test_terraform_works_on_a_copy_that_is_gone_afterwards(smoke: Smoke) -> None:
    """All commands use one directory outside the project, so that the state of other stacks is not touched."""
    (place,) = {Path(line.split()[0].removeprefix("-chdir=")) for line in smoke.commands}
    assert not place.is_relative_to(INFRA)
    assert not place.exists()


def test_it_creates_a_separate_stack(smoke: Smoke, offline: Offline) -> None:
    """The stack has its own name and bucket, sends no mail, and can be destroyed."""
    state = offline.apply("custom", {}, of=smoke.applied)
    assert state.output("bucket").startswith("rcpt-smoke-")
    assert state.output("table").startswith("rcpt-smoke-")
    assert state.one("module.intake.aws_s3_bucket.uploads[0]")["force_destroy"]
    assert not state.one("module.results.aws_dynamodb_table.results")["deletion_protection_enabled"]
    assert not state.resources("aws_sns_topic_subscription")
    (queue,) = state.one("module.intake.aws_s3_bucket_notification.uploads[0]")["queue"]
    assert not queue["filter_prefix"]


def test_a_row_that_never_comes_fails_it(deployed: State, moto: Emulator, tmp_path: Path) -> None:
    """Without a worker, the script exits with 1 and still destroys the stack."""
    smoke = _run(_prepare(tmp_path, deployed), moto, wait_s=1)
    assert smoke.code == 1
    assert "did not pass the filter" in smoke.said
    assert smoke.commands[-1].split()[1] == "destroy"


@pytest.fixture(scope="module")
def smoke(deployed: State, moto: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    """Run the script once for all tests, while a worker runs."""
    return asyncio.run(_smoke(deployed, moto, _prepare(tmp_path_factory.mktemp("smoke"), deployed)))


async def _smoke(state: State, moto: Emulator, told: Path) -> Smoke:
    given = task_environment(state, "module.worker.aws_ecs_task_definition.worker") | {"RECEIPTS_RECEIVE_WAIT_S": "1"}
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(FakeEndpoint().serve())
        worker = running(given, verb="worker", emulator=moto, endpoint=endpoint, service="receipts-worker")
        await stack.enter_async_context(worker)
        return await asyncio.to_thread(_run, told, moto, wait_s=60)


def _prepare(told: Path, state: State) -> Path:
    """Write the fake tools and a file of variables to `told`."""
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
