"""The real worker on Terraform's resources, with the settings and permissions that Terraform defines.

A simulated apply of custom/ is replayed onto moto. A worker process with the task definition's environment then
processes uploads of every kind, through a proxy that records the permission that each call needs.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tests.component.emulators import Emulator
from tests.infra.deployment import Aws, Process, clients, event, role_policy, running, task_environment
from tests.infra.offline import Offline, State
from tests.infra.recorder import NOT_A_CALL, Policy
from tests.support.endpoint import FakeEndpoint, reading, total_of
from tests.support.pictures import picture

NO_CLUSTER = "aws_ecs_cluster_capacity_providers"
"""The replay tool omits the cluster in this call."""
KEYS = ("in/plain.jpg", "in/long.jpg", "in/again.jpg", "in/versioned.jpg", "in/not-there.jpg")
PLAIN, LONG, AGAIN, VERSIONED = (picture(number) for number in range(1, 5))


@dataclass(frozen=True)
class Run:
    """The results of all uploads."""

    rows: dict[str, dict[str, Any]]
    dead: list[dict[str, Any]]
    process: Process


@pytest.mark.parametrize("root", ["express", "custom"])
def test_botocore_accepts_every_call_that_creates_the_resources(offline: Offline, root: str, request: Any) -> None:
    """botocore accepts the parameters of every call, including those of Express Mode."""
    said = offline.replay(request.getfixturevalue(root), skip=NO_CLUSTER)
    assert "failed  " not in said
    assert "aws_dynamodb_table" in said


def test_an_upload_becomes_a_row(run: Run) -> None:
    """The bucket's notification brings an upload through queue and worker into the table."""
    assert run.rows["in/plain.jpg"]["total"] == Decimal(total_of(PLAIN))


def test_every_other_upload_ends_as_a_row_too(run: Run) -> None:
    """A large answer and one on the second attempt are stored, and an upload that can never work is rejected."""
    assert run.rows["in/long.jpg"]["total"] == Decimal(total_of(LONG))
    assert run.rows["in/again.jpg"]["total"] == Decimal(total_of(AGAIN))
    assert run.rows["in/versioned.jpg"]["version_id"]
    assert run.rows["in/not-there.jpg"]["status"] == "rejected"


def test_a_malformed_body_becomes_a_dead_letter(run: Run) -> None:
    """A malformed body is in the dead-letter queue with its reason."""
    (message,) = run.dead
    assert message["Body"] == "not a message"
    assert message["MessageAttributes"]["reason"]["StringValue"]


def test_the_worker_stops_cleanly(run: Run) -> None:
    """The worker exits with 0 after SIGTERM."""
    assert run.process.exit_code == 0


def test_the_metrics_have_the_stacks_name(run: Run) -> None:
    """Metrics have the dimension `Service` with the stack's name, which the alarms read, and count events."""
    assert run.process.metrics
    assert {line["Service"] for line in run.process.metrics} == {"receipts"}
    assert sum(line.get("DeadLettered", 0) for line in run.process.metrics) == 1


def test_each_permission_that_the_worker_uses_is_granted(run: Run, worker_policy: Policy) -> None:
    """The task role allows every call that was made."""
    refused = {call for call in run.process.calls if not worker_policy.allows(call)}
    assert not refused


def test_each_permission_that_is_granted_is_used(run: Run, worker_policy: Policy) -> None:
    """Every permission of the task role is used by a call."""
    unused = [
        f"{grant.sid}: {grant.action} on {grant.resource}"
        for grant in worker_policy.grants
        if grant.action not in NOT_A_CALL and not any(grant.covers(call) for call in run.process.calls)
    ]
    assert not unused


@pytest.fixture(scope="session")
def worker_policy(deployed: State) -> Policy:
    """Return the policy of the worker's task role."""
    return role_policy(deployed, "module.worker_task.aws_iam_role_policy.task")


@pytest.fixture(scope="session")
def run(deployed: State, moto: Emulator) -> Run:
    """Run a worker on uploads of every kind, once for all tests."""
    return asyncio.run(_work(deployed, moto))


async def _work(state: State, moto: Emulator) -> Run:
    given = task_environment(state, "module.worker.aws_ecs_task_definition.worker")
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(FakeEndpoint(answer=_Answers(), service_s=lambda: 1.5).serve())
        aws = await clients(stack, moto.url)
        await _upload(aws, given, {"in/plain.jpg": PLAIN, "in/long.jpg": LONG, "in/again.jpg": AGAIN})
        # Shorter than in production, so that a lease is extended during the test.
        quick = {"VISIBILITY_S": "4", "HEARTBEAT_S": "1", "RECEIVE_WAIT_S": "1", "BACKOFF_BASE_S": "1"}
        async with running(
            given,
            verb="worker",
            emulator=moto,
            endpoint=endpoint,
            service="receipts-worker",
            **{f"RECEIPTS_{name}": value for name, value in quick.items()},
        ) as process:
            rows = await _rows(aws, given)
            dead = await _dead_letters(aws, state)
        return Run(rows=rows, dead=dead, process=process)


class _Answers:
    """Answers one picture only on the second attempt, and one with a receipt too large for a row."""

    def __init__(self) -> None:
        self._asked: set[bytes] = set()

    def __call__(self, body: bytes) -> bytes:
        first = body not in self._asked
        self._asked.add(body)
        if body == AGAIN and first:
            return b"no JSON"
        return _long(body) if body == LONG else reading(body)


def _long(body: bytes) -> bytes:
    answer = json.loads(reading(body))
    answer["receipt"]["items"] = [
        {"description": f"item {number} " + "x" * 60, "amount": "0.01"} for number in range(3_000)
    ]
    return json.dumps(answer).encode()


async def _upload(aws: Aws, given: dict[str, str], pictures: dict[str, bytes]) -> None:
    """Upload pictures, which sends events to the queue; then send messages that no bucket would send."""
    bucket, queue = given["RECEIPTS_BUCKET"], given["RECEIPTS_QUEUE_URL"]
    for key, body in pictures.items():
        await aws.s3.put_object(Bucket=bucket, Key=key, Body=body)
    versioned = await aws.s3.put_object(Bucket=bucket, Key="in/versioned.jpg", Body=VERSIONED)
    for upload in (
        event(bucket, "in/versioned.jpg", version_id=versioned["VersionId"]),
        event(bucket, "in/not-there.jpg"),
        "not a message",
    ):
        await aws.sqs.send_message(QueueUrl=queue, MessageBody=upload)


async def _rows(aws: Aws, given: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Wait for the record of every upload and return them by key."""
    table = await aws.dynamodb.Table(given["RECEIPTS_TABLE"])
    rows: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(90):
        while rows.keys() < set(KEYS):
            for key in KEYS:
                reply = await table.get_item(Key={"document": f"{given['RECEIPTS_BUCKET']}/{key}"})
                rows |= {key: reply["Item"]} if "Item" in reply else {}
            await asyncio.sleep(0.3)
    return rows


async def _dead_letters(aws: Aws, state: State) -> list[dict[str, Any]]:
    url = state.output("dead_letter_queue_url")
    reply = await aws.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=5
    )
    messages: list[dict[str, Any]] = reply.get("Messages", [])
    return messages
