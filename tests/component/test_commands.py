"""The commands in their own processes, against both emulators."""

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
"""For tests that do not depend on the emulator."""


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    status: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, parsed as JSON."""
        return json.loads(self.out)


async def receipts(*arguments: str | Path, **environment: str) -> Result:
    """Run the command in its own process, with this process's environment and `environment`."""
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
    """The resources that a worker needs, named in the environment of the command."""
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


async def test_doctor_passes_on_a_complete_installation(site: "Aws") -> None:
    """Every check passes against resources made from the specs, and the exit code is 0."""
    result = await receipts("doctor", "--json")
    assert [finding for finding in result.json if finding["status"] != "ok"] == []
    assert (result.status, result.err) == (0, "")
    assert len(result.json) == 13


async def test_doctor_gives_a_cure_for_each_failure(site: "Aws") -> None:
    """Each missing or wrong resource is one failed check with a cure, and the exit code is 1."""
    sqs, s3 = site.clients.sqs, site.clients.s3
    await s3.put_bucket_versioning(Bucket=site.resources.bucket, VersioningConfiguration={"Status": "Suspended"})
    await s3.put_bucket_notification_configuration(Bucket=site.resources.bucket, NotificationConfiguration={})
    await sqs.set_queue_attributes(QueueUrl=site.resources.queue_url, Attributes={"Policy": ""})
    result = await receipts("doctor", "--json", RECEIPTS_ENDPOINT="missing", RECEIPTS_TABLE="nothing")
    failed = {finding["check"]: finding for finding in result.json if finding["status"] == "failed"}
    assert set(failed) == {
        "bucket", "notification", "queue", "table", "indexes", "time to live", "endpoint", "permission: table"
    }  # fmt: skip
    assert all(finding["cure"] for finding in failed.values())
    assert "put-bucket-versioning" in failed["bucket"]["cure"]
    assert "Endpoint missing of account" in failed["endpoint"]["detail"]
    assert result.status == 1


@any_emulator
async def test_doctor_reports_a_missing_setting_once(site: "Aws", monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing setting is one failure; the other checks that need it are skipped."""
    monkeypatch.delenv("RECEIPTS_QUEUE_URL")
    result = await receipts("doctor")
    assert result.status == 1
    assert "RECEIPTS_QUEUE_URL is not set" in result.out
    assert result.out.count("FAILED") == 1
    assert result.out.count("skipped") == 3


async def test_doctor_costs_nothing_and_changes_nothing(site: "Aws") -> None:
    """It receives no message, and writes no row and no object."""
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
    """Without region or credentials, doctor stops after that failure."""
    for name in (missing, missing.replace("ACCESS", "SECRET").replace("KEY_ID", "ACCESS_KEY"), "AWS_DEFAULT_REGION"):
        if missing != "AWS_ACCESS_KEY_ID" or name != "AWS_DEFAULT_REGION":
            monkeypatch.delenv(name, raising=False)
    result = await receipts("doctor", "--json")
    assert result.status == 1
    assert result.json[-1]["status"] == "failed"
    assert result.json[-1]["check"] == ("region" if missing == "AWS_REGION" else "credentials")


@any_emulator
async def test_aws_region_alone_names_the_region(site: "Aws", monkeypatch: pytest.MonkeyPatch) -> None:
    """ECS sets only AWS_REGION; with it every check passes."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    result = await receipts("doctor", "--json")
    assert [finding for finding in result.json if finding["status"] != "ok"] == []


@any_emulator
async def test_doctor_suggests_checking_an_address_that_does_not_answer(site: "Aws") -> None:
    """If nothing answers, the cure is to check the address, not to sign in."""
    result = await receipts("doctor", "--json", AWS_ENDPOINT_URL_STS="http://127.0.0.1:9")
    finding = result.json[-1]
    assert (finding["check"], finding["status"]) == ("credentials", "failed")
    assert "http://127.0.0.1:9" in finding["detail"]
    assert "AWS_ENDPOINT_URL" in finding["cure"]
    assert "sso" not in finding["cure"]


async def test_submit_puts_files_into_the_bucket(site: "Aws", picture: Path) -> None:
    """The key is prefix plus name, the media type follows from the name, and each key is printed."""
    result = await receipts("submit", picture, "--prefix", "2026/")
    key = f"2026/{picture.name}"
    assert (result.status, result.out, result.err) == (0, f"s3://{site.resources.bucket}/{key}\n", "")
    head = await site.clients.s3.head_object(Bucket=site.resources.bucket, Key=key)
    assert (head["ContentType"], head["ContentLength"]) == ("image/jpeg", picture.stat().st_size)


@any_emulator
async def test_submit_refuses_all_files_where_one_cannot_be_read(site: "Aws", picture: Path) -> None:
    """Misuse is exit 2 before any upload, and names the file."""
    result = await receipts("submit", picture, picture.parent, picture.parent / "nothing.jpg")
    assert result.status == 2
    assert "is a directory" in " ".join(result.err.replace("│", " ").split())
    assert "KeyCount" in (listed := await site.clients.s3.list_objects_v2(Bucket=site.resources.bucket))
    assert listed["KeyCount"] == 0


@any_emulator
async def test_submit_refuses_the_reserved_prefix(site: "Aws", picture: Path) -> None:
    """The worker ignores objects under the prefix of its own output, so a record would never come."""
    result = await receipts("submit", picture, "--prefix", "_receipts/mine/", "--wait")
    assert result.status == 2
    assert "_receipts/" in result.err


async def test_submit_reports_a_missing_bucket(site: "Aws", picture: Path) -> None:
    """A call that AWS refuses is one line and exit 1."""
    result = await receipts("submit", picture, "--bucket", "there-is-no-such-bucket-here")
    assert result.status == 1
    assert result.err.startswith("receipts: AWS refused PutObject: NoSuchBucket")
    assert result.err.count("\n") == 1


@any_emulator
async def test_submit_needs_a_bucket(site: "Aws", picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bucket the error names the missing setting, and the exit code is 2."""
    monkeypatch.delenv("RECEIPTS_BUCKET")
    result = await receipts("submit", picture)
    assert (result.status, result.out) == (2, "")
    assert "RECEIPTS_BUCKET is not set" in result.err


async def _store(site: "Aws", key: str, status: Any) -> None:
    """Play the worker: store the record of the newest version of `key` once it is uploaded."""
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
    """With --wait each record is printed when it is stored; the exit code says whether all were extracted."""
    result, _ = await asyncio.gather(
        receipts("submit", picture, "--wait", "--json"), _store(site, picture.name, status)
    )
    assert result.status == expected
    assert (result.json["status"], result.json["total"]) == (status, "12.34")
    assert result.json["document"] == f"{site.resources.bucket}/{picture.name}"


@any_emulator
async def test_submit_gives_up_waiting(site: "Aws", picture: Path) -> None:
    """If no record comes in time, stderr names the key and the exit code is 1."""
    result = await receipts("submit", picture, "--wait", "--timeout", "1")
    assert result.status == 1
    assert f"No record yet: {picture.name}" in result.err
