"""The commands, run as people run them, against both emulators."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.component.container import Container, endpoint
from worker.receipts.document import timestamp
from worker.receipts.receipt import Merchant, Receipt
from worker.receipts.record import Record
from worker.results.attributes import to_attributes
from worker.results.rows import to_item

if TYPE_CHECKING:
    from tests.component.emulators import Aws


any_emulator = pytest.mark.parametrize("emulator", ["ministack"], indirect=True)
"""For what AWS has no part in."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What a program reads."""
        return json.loads(self.out)


async def receipts(*arguments: str | Path, **environment: str) -> Result:
    """Run the command in a process of its own, with this process's environment and `environment`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", *map(str, arguments)),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def site(aws: "Aws", monkeypatch: pytest.MonkeyPatch) -> AsyncIterator["Aws"]:
    """Everything that a worker needs, in the environment of the command."""
    async with endpoint(Container(), account=aws.emulator.account) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", front.url)
        monkeypatch.setenv("RECEIPTS_QUEUE_URL", aws.resources.queue_url)
        monkeypatch.setenv("RECEIPTS_BUCKET", aws.resources.bucket)
        monkeypatch.setenv("RECEIPTS_TABLE", aws.resources.table)
        monkeypatch.setenv("RECEIPTS_ENDPOINT", front.endpoint)
        yield aws


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "Café Zürich 1+1.jpg"
    path.write_bytes(b"\xff\xd8 a picture")
    return path


async def test_doctor_finds_nothing_wrong_where_all_is_well(site: "Aws") -> None:
    """Every check passes against what the specs define, in text and in JSON, and exit is 0."""
    result = await receipts("doctor", "--json")
    assert [finding for finding in result.json if finding["status"] != "ok"] == []
    assert (result.status, result.err) == (0, "")
    assert len(result.json) == 13


async def test_doctor_tells_the_cure(site: "Aws") -> None:
    """What is missing or wrong is one failed check each, with what to do, and exit is 1."""
    sqs, s3 = site.clients.sqs, site.clients.s3
    await s3.put_bucket_versioning(Bucket=site.resources.bucket, VersioningConfiguration={"Status": "Suspended"})
    await s3.put_bucket_notification_configuration(Bucket=site.resources.bucket, NotificationConfiguration={})
    await sqs.set_queue_attributes(QueueUrl=site.resources.queue_url, Attributes={"Policy": ""})
    result = await receipts("doctor", "--json", RECEIPTS_ENDPOINT="nobody", RECEIPTS_TABLE="nothing")
    failed = {finding["check"]: finding for finding in result.json if finding["status"] == "failed"}
    assert set(failed) == {
        "bucket", "notification", "queue", "table", "indexes", "time to live", "endpoint", "permission: table"
    }  # fmt: skip
    assert all(finding["cure"] for finding in failed.values())
    assert "put-bucket-versioning" in failed["bucket"]["cure"]
    assert "Endpoint nobody of account" in failed["endpoint"]["detail"]
    assert result.status == 1


@any_emulator
async def test_doctor_says_what_is_not_set(site: "Aws", monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is missing is told once; what needs it is skipped and not told again."""
    monkeypatch.delenv("RECEIPTS_QUEUE_URL")
    result = await receipts("doctor")
    assert result.status == 1
    assert "RECEIPTS_QUEUE_URL is not set" in result.out
    assert result.out.count("FAILED") == 1
    assert result.out.count("skipped") == 3


async def test_doctor_costs_nothing_and_changes_nothing(site: "Aws") -> None:
    """After it no message was received more often, no row and no object is there."""
    await site.clients.s3.put_object(Bucket=site.resources.bucket, Key="x", Body=b"x")
    await receipts("doctor")
    answer = await site.clients.sqs.receive_message(
        QueueUrl=site.resources.queue_url, WaitTimeSeconds=2, MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )
    assert [message["Attributes"]["ApproximateReceiveCount"] for message in answer["Messages"]] == ["1"]
    assert (await site.clients.dynamodb.scan(TableName=site.resources.table))["Count"] == 0
    listed = await site.clients.s3.list_objects_v2(Bucket=site.resources.bucket)
    assert [item["Key"] for item in listed["Contents"]] == ["x"]


@any_emulator
@pytest.mark.parametrize("missing", ["AWS_REGION", "AWS_ACCESS_KEY_ID"])
async def test_without_region_or_credentials_doctor_stops_there(
    site: "Aws", missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be asked of AWS then, so nothing is, and the one failure has its cure."""
    for name in (missing, missing.replace("ACCESS", "SECRET").replace("KEY_ID", "ACCESS_KEY"), "AWS_DEFAULT_REGION"):
        if missing != "AWS_ACCESS_KEY_ID" or name != "AWS_DEFAULT_REGION":
            monkeypatch.delenv(name, raising=False)
    result = await receipts("doctor", "--json")
    assert result.status == 1
    assert result.json[-1]["status"] == "failed"
    assert result.json[-1]["check"] == ("region" if missing == "AWS_REGION" else "credentials")


@any_emulator
async def test_the_region_may_be_named_as_ecs_names_it(site: "Aws", monkeypatch: pytest.MonkeyPatch) -> None:
    """ECS sets AWS_REGION alone: doctor works with it, and every check passes."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    result = await receipts("doctor", "--json")
    assert [finding for finding in result.json if finding["status"] != "ok"] == []


@any_emulator
async def test_doctor_does_not_ask_to_sign_in_where_nothing_answers(site: "Aws") -> None:
    """An address at which nothing answers is no matter of credentials: the cure is to look at the address."""
    result = await receipts("doctor", "--json", AWS_ENDPOINT_URL_STS="http://127.0.0.1:9")
    finding = result.json[-1]
    assert (finding["check"], finding["status"]) == ("credentials", "failed")
    assert "http://127.0.0.1:9" in finding["detail"]
    assert "AWS_ENDPOINT_URL" in finding["cure"]
    assert "sso" not in finding["cure"]


async def test_submit_puts_files_into_the_bucket(site: "Aws", picture: Path) -> None:
    """The key is the prefix and the name, the media type follows the name, and each key is printed."""
    result = await receipts("submit", picture, "--prefix", "2026/")
    key = f"2026/{picture.name}"
    assert (result.status, result.out, result.err) == (0, f"s3://{site.resources.bucket}/{key}\n", "")
    head = await site.clients.s3.head_object(Bucket=site.resources.bucket, Key=key)
    assert (head["ContentType"], head["ContentLength"]) == ("image/jpeg", picture.stat().st_size)


@any_emulator
async def test_submit_refuses_all_files_where_one_cannot_be_read(site: "Aws", picture: Path) -> None:
    """Misuse is exit 2 before anything is sent, and names the file."""
    result = await receipts("submit", picture, picture.parent, picture.parent / "nothing.jpg")
    assert result.status == 2
    assert "is a directory" in " ".join(result.err.replace("│", " ").split())
    assert "KeyCount" in (listed := await site.clients.s3.list_objects_v2(Bucket=site.resources.bucket))
    assert listed["KeyCount"] == 0


@any_emulator
async def test_submit_puts_nothing_where_no_worker_looks(site: "Aws", picture: Path) -> None:
    """The worker ignores what stands among its own output, so that a record would be waited for in vain."""
    result = await receipts("submit", picture, "--prefix", "_receipts/mine/", "--wait")
    assert result.status == 2
    assert "_receipts/" in result.err


async def test_submit_says_when_there_is_no_such_bucket(site: "Aws", picture: Path) -> None:
    """What AWS refuses is one line and exit 1."""
    result = await receipts("submit", picture, "--bucket", "there-is-no-such-bucket-here")
    assert result.status == 1
    assert result.err.startswith("receipts: AWS refused PutObject: NoSuchBucket")
    assert result.err.count("\n") == 1


@any_emulator
async def test_submit_needs_a_bucket(site: "Aws", picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bucket it says which setting is missing, and exit is 2."""
    monkeypatch.delenv("RECEIPTS_BUCKET")
    result = await receipts("submit", picture)
    assert (result.status, result.out) == (2, "")
    assert "RECEIPTS_BUCKET is not set" in result.err


async def _store(site: "Aws", key: str, status: Any) -> None:
    """Be the worker: store the record of the newest version of `key` as soon as it is there."""
    async with asyncio.timeout(30):
        while "Contents" not in await site.clients.s3.list_objects_v2(Bucket=site.resources.bucket, Prefix=key):
            await asyncio.sleep(0.05)
    head = await site.clients.s3.head_object(Bucket=site.resources.bucket, Key=key)
    moment = timestamp(head["LastModified"])
    record = Record(
        document=f"{site.resources.bucket}/{key}",
        status=status,
        version_id=head["VersionId"],
        etag=head["ETag"].strip('"'),
        uploaded_at=moment,
        stored_at=moment,
        receipt=Receipt(merchant=Merchant(name="Corner Shop"), total="12.34"),
    )
    await site.clients.dynamodb.put_item(TableName=site.resources.table, Item=to_attributes(to_item(record)))


@pytest.mark.parametrize(("status", "expected"), [("extracted", 0), ("needs_review", 1)])
async def test_submit_waits_for_the_records(site: "Aws", picture: Path, status: str, expected: int) -> None:
    """With --wait the record is printed as JSON when it is stored, and the exit code says whether it was extracted."""
    result, _ = await asyncio.gather(
        receipts("submit", picture, "--wait", "--json"), _store(site, picture.name, status)
    )
    assert result.status == expected
    assert (result.json["status"], result.json["total"]) == (status, "12.34")
    assert result.json["document"] == f"{site.resources.bucket}/{picture.name}"


@any_emulator
async def test_submit_gives_up_waiting(site: "Aws", picture: Path) -> None:
    """When no record comes in time, that is said by key on stderr, and exit is 1."""
    result = await receipts("submit", picture, "--wait", "--timeout", "1")
    assert result.status == 1
    assert f"No record yet: {picture.name}" in result.err
