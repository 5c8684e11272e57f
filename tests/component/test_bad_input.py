"""Odd bodies, keys and objects: each gets an outcome with a reason, and the worker continues."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.stage import CONCURRENT, empty, event, left, record, send, until, upload, working
from tests.support.endpoint import FakeEndpoint, total_of
from tests.support.pictures import picture
from worker.messages.parse import MAX_KEY_BYTES

ODD_KEYS = [
    "../../etc/passwd",
    "a/../b.jpg",
    "./dot.jpg",
    "//double//slash.jpg",
    "trailing/",
    "trailing...",
    " blanks and\ttabs ",
    "plus+and%2Bpercent%",
    "question?and#hash&amp;",
    "quote'\"<>\\`|{}^~[]",
    "emoji-🧾-café-e\u0301.jpg",
    "右から左-עברית.jpg",
    "line\nbreak\r.jpg",
    "control-\x01\x7f.jpg",
    "ü" * (MAX_KEY_BYTES // 2),
    "k" * MAX_KEY_BYTES,
]


@CONCURRENT
async def test_every_odd_key_gets_its_record(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """Uploads under keys with odd characters become records under exactly these keys."""
    taken = []
    for number, key in enumerate(ODD_KEYS):
        await upload(aws, key, picture(number))
        taken.append(key)
    async with working(fast):
        await until(lambda: empty(aws))
    found = {key: await record(aws, key) for key in taken}
    assert [key for key, row in found.items() if row is None] == []
    totals = {key: row.receipt.total if row and row.receipt else (row and row.reason) for key, row in found.items()}
    assert totals == {key: Decimal(total_of(picture(number))) for number, key in enumerate(ODD_KEYS)}


MALFORMED: dict[str, Callable[[Aws], str]] = {
    "not_json": lambda _: "this is not JSON",
    "not_an_object": lambda _: "[1, 2, 3]",
    "unknown_body": lambda _: '{"hello": "world"}',
    "no_records": lambda _: '{"Records": []}',
    "not_an_s3_record": lambda _: '{"Records": [{"eventSource": "aws:sqs"}]}',
    "no_upload_named": lambda aws: event(aws, ""),
    "bad_bucket": lambda aws: event(aws, "a.jpg").replace(aws.resources.bucket, "no bucket's name"),
    "key_too_long": lambda aws: event(aws, "k" * (MAX_KEY_BYTES + 1)),
    "bad_key": lambda aws: event(aws, "%FF%FE"),
    "no_replay_id": lambda _: '{"kind": "receipts.replay"}',
}


async def dead_letters(aws: Aws, number: int) -> dict[str, str]:
    """Wait for `number` dead letters and return their reasons by body."""
    found: dict[str, str] = {}

    async def all_there() -> bool:
        reply = await aws.clients.sqs.receive_message(
            QueueUrl=aws.resources.dead_letter_url, MessageAttributeNames=["All"], MaxNumberOfMessages=10
        )
        for message in reply.get("Messages", []):
            found[message["Body"]] = message["MessageAttributes"]["reason"]["StringValue"]
        return len(found) == number

    await until(all_there)
    return found


@CONCURRENT
async def test_malformed_messages_are_dead_lettered_and_the_worker_continues(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """Each malformed body is moved to the dead-letter queue with its reason, and later uploads are processed."""
    bodies = {reason: make(aws) for reason, make in MALFORMED.items()}
    async with working(fast):
        for body in bodies.values():
            await send(aws, body)
        found = await dead_letters(aws, len(bodies))
        await upload(aws, "good.jpg", picture(1))
        await until(lambda: record(aws, "good.jpg"))
        await until(lambda: empty(aws))
    assert found == {body: reason for reason, body in bodies.items()}


@CONCURRENT
async def test_events_without_an_upload_are_done(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """Test events, removals and the worker's own output leave no record and no dead letter."""
    async with working(fast):
        await send(aws, '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}')
        await send(aws, event(aws, "a.jpg").replace("ObjectCreated:Put", "ObjectRemoved:Delete"))
        await send(aws, event(aws, "_receipts/receipts/abc.json"))
        await until(lambda: empty(aws))
    assert (await aws.clients.dynamodb.scan(TableName=aws.resources.table))["Items"] == []
    assert await left(aws, aws.resources.dead_letter_url) == 0


@CONCURRENT
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("nested", [False, True], ids=["text", "nested"])
async def test_a_malformed_body_of_one_megabyte_is_dead_lettered(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any], nested: bool
) -> None:
    """A malformed body of the maximum size is moved to the dead-letter queue, cut to what fits."""
    body = "[" * 1_048_576 if nested else "x" * 1_048_576
    async with working(fast):
        await send(aws, body)
        ((kept, reason),) = (await dead_letters(aws, 1)).items()
        await until(lambda: empty(aws))
    assert reason == "not_json"
    assert body.startswith(kept)
    assert len(kept) > 1_000_000


@CONCURRENT
async def test_objects_deleted_or_replaced_before_the_fetch(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """If an object is deleted before the fetch, its upload is rejected; if it is replaced, the newest upload counts."""
    await upload(aws, "replaced.jpg", picture(1))
    await upload(aws, "replaced.jpg", picture(2))
    await upload(aws, "deleted.jpg", picture(3))
    versions = await aws.clients.s3.list_object_versions(Bucket=aws.resources.bucket, Prefix="deleted.jpg")
    for version in versions["Versions"]:
        await aws.clients.s3.delete_object(
            Bucket=aws.resources.bucket, Key="deleted.jpg", VersionId=version["VersionId"]
        )
    async with working(fast):
        await until(lambda: empty(aws))
    gone, replaced = await record(aws, "deleted.jpg"), await record(aws, "replaced.jpg")
    assert gone is not None
    assert (gone.status, gone.reason) == ("rejected", "no_such_object")
    assert replaced is not None
    assert replaced.receipt is not None
    assert replaced.receipt.total == Decimal(total_of(picture(2)))
