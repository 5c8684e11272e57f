"""`receipts forget` deletes everything stored for a document, and nothing else."""

import hashlib
import json
from typing import Any

import pytest
import typer

from tests.component.emulators import Aws
from tests.component.records import put, record
from worker.aws.resources import CONTENT_PREFIX
from worker.commands.forget import _forget
from worker.results.attributes import to_attributes
from worker.results.forget import Forgetter, Traces


@pytest.fixture
def forgetter(aws: Aws) -> Forgetter:
    """A `Forgetter` of the test's bucket and table."""
    return Forgetter(aws.clients.s3, aws.clients.dynamodb, aws.resources.table)


async def upload(aws: Aws, key: str, body: bytes, *, overflow: str | None = None) -> str:
    """Store what the worker stores for an upload: the object, its record and its content row."""
    document = f"{aws.resources.bucket}/{key}"
    sha256 = hashlib.sha256(body).hexdigest()
    await aws.clients.s3.put_object(Bucket=aws.resources.bucket, Key=key, Body=body)
    place = f"{aws.resources.bucket}/{overflow}" if overflow else None
    if overflow:
        await aws.clients.s3.put_object(Bucket=aws.resources.bucket, Key=overflow, Body=b"{}")
    await put(aws, [record(1, document=document, content_sha256=sha256)])
    answer = json.dumps({"document": document, "receipt_object": place}, separators=(",", ":"))
    item = {"document": CONTENT_PREFIX + sha256, "answer": answer}
    await aws.clients.dynamodb.put_item(TableName=aws.resources.table, Item=to_attributes(item))
    return document


async def rows(aws: Aws) -> list[str]:
    """Return the keys of all rows."""
    reply = await aws.clients.dynamodb.scan(TableName=aws.resources.table, ConsistentRead=True)
    return sorted(item["document"]["S"] for item in reply["Items"])


async def versions(aws: Aws) -> list[str]:
    """Return the keys of all versions and delete markers."""
    reply: Any = await aws.clients.s3.list_object_versions(Bucket=aws.resources.bucket)
    return sorted(found["Key"] for found in [*reply.get("Versions", []), *reply.get("DeleteMarkers", [])])


async def test_nothing_of_a_forgotten_document_is_left(aws: Aws, forgetter: Forgetter) -> None:
    """Every version, both rows and the object of a large receipt are deleted, even after a delete and a new upload."""
    await upload(aws, "a.jpg", b"first")
    await aws.clients.s3.delete_object(Bucket=aws.resources.bucket, Key="a.jpg")
    document = await upload(aws, "a.jpg", b"second", overflow="_receipts/receipts/large.json")
    found = await forgetter.look(document)
    assert found == Traces(document=document, versions=3, record=True, answers=2, overflow=1)
    assert await forgetter.forget(document) == found
    assert (await rows(aws), await versions(aws)) == ([], [])
    assert (await forgetter.look(document)).none


async def test_looking_deletes_nothing(aws: Aws, forgetter: Forgetter) -> None:
    """A look deletes nothing."""
    document = await upload(aws, "a.jpg", b"bytes")
    await forgetter.look(document)
    assert len(await rows(aws)) == 2
    assert await versions(aws) == ["a.jpg"]


async def test_a_longer_key_is_left_alone(aws: Aws, forgetter: Forgetter) -> None:
    """Forgetting a.jpg keeps a.jpg.jpg."""
    document = await upload(aws, "a.jpg", b"one")
    other = await upload(aws, "a.jpg.jpg", b"other")
    await forgetter.forget(document)
    assert await versions(aws) == ["a.jpg.jpg"]
    assert other in await rows(aws)


async def test_an_answer_that_another_document_needs_stays(aws: Aws, forgetter: Forgetter) -> None:
    """The answer for a shared content is deleted with the last document that has this content."""
    first, second = await upload(aws, "a.jpg", b"same"), await upload(aws, "b.jpg", b"same")
    assert (await forgetter.forget(first)).answers == 0
    assert len(await rows(aws)) == 2
    assert (await forgetter.forget(second)).answers == 1
    assert await rows(aws) == []


async def test_a_scan_finds_the_answer_to_a_version_that_is_gone(aws: Aws, forgetter: Forgetter) -> None:
    """The answer for a content that no version has any more is only found by a scan."""
    await upload(aws, "a.jpg", b"long ago")
    reply: Any = await aws.clients.s3.list_object_versions(Bucket=aws.resources.bucket)
    for version in reply["Versions"]:
        await aws.clients.s3.delete_object(Bucket=aws.resources.bucket, Key="a.jpg", VersionId=version["VersionId"])
    document = await upload(aws, "a.jpg", b"now")
    assert (await forgetter.look(document)).answers == 1
    assert (await forgetter.forget(document, scan=True)).answers == 2
    assert await rows(aws) == []


async def test_the_answer_behind_the_history_goes_too(aws: Aws, forgetter: Forgetter) -> None:
    """The answer for an earlier content is deleted if only the record's history names that content."""
    document = await upload(aws, "a.jpg", b"now")
    item = {"document": f"{CONTENT_PREFIX}{'0' * 64}", "answer": "{}"}
    await aws.clients.dynamodb.put_item(TableName=aws.resources.table, Item=to_attributes(item))
    said = {"revision": 1, "content_sha256": "0" * 64}
    await put(aws, [record(1, document=document, content_sha256=hashlib.sha256(b"now").hexdigest(), history=(said,))])
    assert (await forgetter.forget(document)).answers == 2
    assert await rows(aws) == []


async def test_a_prefix_names_deleted_uploads_too(aws: Aws, forgetter: Forgetter) -> None:
    """A prefix selects exactly its documents, including those with old versions only."""
    kept = await upload(aws, "customers/1/a.jpg", b"a")
    gone = await upload(aws, "customers/1/b.jpg", b"b")
    await upload(aws, "customers/10/c.jpg", b"c")
    await aws.clients.s3.delete_object(Bucket=aws.resources.bucket, Key="customers/1/b.jpg")
    assert await forgetter.documents(aws.resources.bucket, "customers/1/") == [kept, gone]


@pytest.mark.parametrize("form", ["{key}", "{bucket}/{key}", "s3://{bucket}/{key}"])
async def test_a_document_is_named_as_show_takes_it(aws: Aws, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the configured bucket is enough, even if its first part could be a bucket's name."""
    monkeypatch.setenv("RECEIPTS_TABLE", aws.resources.table)
    monkeypatch.setenv("RECEIPTS_BUCKET", aws.resources.bucket)
    document = await upload(aws, "inbox/a.jpg", b"one")
    name = form.format(bucket=aws.resources.bucket, key="inbox/a.jpg")
    (found,) = await _forget([name], None, scan=False, delete=True)
    assert (found.document, found.versions, found.record) == (document, 1, True)
    assert await versions(aws) == []


async def test_a_name_that_means_two_documents_deletes_none(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ambiguous name is refused, naming both documents, because deletion is permanent."""
    bucket = aws.resources.bucket
    monkeypatch.setenv("RECEIPTS_TABLE", aws.resources.table)
    monkeypatch.setenv("RECEIPTS_BUCKET", bucket)
    await upload(aws, "a.jpg", b"one")
    await upload(aws, f"{bucket}/a.jpg", b"other")
    with pytest.raises(typer.BadParameter, match=f"{bucket}/a.jpg or|or {bucket}/a.jpg"):
        await _forget([f"{bucket}/a.jpg"], None, scan=False, delete=True)
    assert len(await versions(aws)) == 2
