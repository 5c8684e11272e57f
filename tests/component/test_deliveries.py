"""Messages that are delivered twice, in the wrong order, or with many records."""

from dataclasses import replace
from typing import Any

from tests.component.emulators import Aws
from tests.component.stage import CONCURRENT, empty, event, record, send, until, upload, working
from tests.support.endpoint import FakeEndpoint
from tests.support.pictures import picture
from worker.messages.parse import parse, replay_body


@CONCURRENT
async def test_repeated_deliveries_leave_one_record(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """Repeated events, and an older event after a newer one, leave the record of the newest upload."""
    await aws.clients.s3.put_bucket_notification_configuration(
        Bucket=aws.resources.bucket, NotificationConfiguration={}
    )
    await upload(aws, "a.jpg", picture(1))
    newer, older = event(aws, "x.jpg", "a.jpg"), event(aws, "a.jpg")
    endpoint.service_s = lambda: 0.3
    async with working(fast):
        for body in (newer, newer, older, newer):
            await send(aws, body)
        await until(lambda: empty(aws))
    found = await record(aws, "a.jpg")
    assert found is not None
    assert found.sequencer is not None
    assert int(found.sequencer, 16) == 1
    assert sum(endpoint.calls.values()) == 1


@CONCURRENT
async def test_two_hundred_records_in_one_message_become_rows(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """Each of 200 records becomes a row, a rejected one if its object is missing, and the message is deleted."""
    await aws.clients.s3.put_bucket_notification_configuration(
        Bucket=aws.resources.bucket, NotificationConfiguration={}
    )
    keys = [f"{number}.jpg" for number in range(200)]
    for number, key in enumerate(keys):
        if number % 10:
            await upload(aws, key, picture(number))
    async with working(fast):
        await send(aws, event(aws, *keys))
        await until(lambda: empty(aws), seconds=120)
    rows = [await record(aws, key) for key in keys]
    assert all(rows)
    reasons = {row.reason for number, row in enumerate(rows) if row and number % 10 == 0}
    assert reasons == {"no_such_object"}
    assert {row.receives for row in rows if row} == {1}


@CONCURRENT
async def test_a_repeated_forced_replay_is_paid_for_once(
    aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]
) -> None:
    """A repeated forced replay is not invoked again, even after another replay of the same bytes."""
    await aws.clients.s3.put_bucket_notification_configuration(
        Bucket=aws.resources.bucket, NotificationConfiguration={}
    )
    await upload(aws, "a.jpg", picture(1))
    (first,) = parse(event(aws, "a.jpg")).uploads
    replays = {name: replay_body(replace(first, replay_id=name, force=True)) for name in ("one", "two")}
    calls = []
    async with working(fast):
        for body in (event(aws, "a.jpg"), replays["one"], replays["two"], replays["one"], replays["two"]):
            await send(aws, body)
            await until(lambda: empty(aws))
            calls.append(sum(endpoint.calls.values()))
    assert calls == [1, 2, 3, 3, 3]
    found = await record(aws, "a.jpg")
    assert found is not None
    assert found.revision == 3
