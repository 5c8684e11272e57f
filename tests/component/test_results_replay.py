"""A replay enqueues each upload once, even if it is interrupted, killed, run twice at a time, or refused by SQS."""

import asyncio
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.records import put, record
from worker.errors import ReceiptsError
from worker.messages.parse import parse
from worker.receipts.document import Upload
from worker.replay.dead_letters import DeadLetterFilter, DeadLetters, ReplayCommand
from worker.replay.manifest import LEASE_S, Manifest, ReplayBusy
from worker.replay.replayer import Pace, Replayer
from worker.replay.sources import Candidate, estimate, from_keys, from_prefix, from_table, upload_of, version_key
from worker.results.query import Results
from worker.results.selection import BadQuery, Selection

FAST = Pace(per_s=5_000)


class Clock:
    """A clock that advances only by `sleep`."""

    def __init__(self) -> None:
        self.now = time.time()  # the emulator would delete rows that expired long ago

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Tampered:
    """The real SQS client with hooks before and after each batch send."""

    def __init__(
        self, sqs: Any, *, before: Callable[[int], object] = bool, after: Callable[[int], object] = bool
    ) -> None:
        self._sqs, self._before, self._after, self.calls = sqs, before, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    async def send_message_batch(self, **arguments: Any) -> Any:
        self.calls += 1
        self._before(self.calls)
        answer = await self._sqs.send_message_batch(**arguments)
        self._after(self.calls)
        return answer


def replayer(aws: Aws, clock: Clock, sqs: Any = None) -> Replayer:
    results = Results(aws.clients.dynamodb, aws.resources.table)
    return Replayer(
        sqs=sqs or aws.clients.sqs,
        queue_url=aws.resources.queue_url,
        results=results,
        manifest=Manifest(aws.clients.dynamodb, aws.resources.table, clock=clock),
        sleep=clock.sleep,
        clock=clock,
    )


async def frozen(aws: Aws, clock: Clock, replay_id: str, count: int, *, force: bool = False) -> None:
    """Store the manifest of a replay of `count` uploads."""

    async def uploads() -> AsyncIterator[Upload]:
        for number in range(count):
            yield upload_of(record(number))

    manifest = Manifest(aws.clients.dynamodb, aws.resources.table, clock=clock)
    await manifest.freeze(replay_id, uploads(), force=force, description="test")


async def enqueued(aws: Aws, *, queue_url: str | None = None) -> list[Upload]:
    """Empty the queue and return the uploads that its messages name."""
    found: list[Upload] = []
    url = queue_url or aws.resources.queue_url
    while True:
        answer = await aws.clients.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600, WaitTimeSeconds=0
        )
        if not answer.get("Messages"):
            return found
        handles: Any = [
            {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]} for at, message in enumerate(answer["Messages"])
        ]
        await aws.clients.sqs.delete_message_batch(QueueUrl=url, Entries=handles)
        for message in answer["Messages"]:
            if "s3:TestEvent" not in message["Body"]:
                found += parse(message["Body"]).uploads


async def test_a_replay_requests_the_version_in_each_record(aws: Aws) -> None:
    """Each message carries the record's version, the replay id and `force`."""
    clock = Clock()
    await frozen(aws, clock, "one", 23, force=True)
    entry = await replayer(aws, clock).run("one", pace=FAST)
    assert (entry.sent, entry.total, entry.done) == (23, 23, True)
    wanted = {replace(upload_of(record(number)), replay_id="one", force=True) for number in range(23)}
    got = await enqueued(aws)
    assert len(got) == 23
    assert set(got) == wanted


async def test_running_a_finished_replay_again_sends_nothing(aws: Aws) -> None:
    """A second run with the same id sends nothing, whatever its selection."""
    clock = Clock()
    await frozen(aws, clock, "one", 5)
    await replayer(aws, clock).run("one", pace=FAST)
    assert len(await enqueued(aws)) == 5
    await frozen(aws, clock, "one", 9)
    assert (await replayer(aws, clock).run("one", pace=FAST)).total == 5
    assert await enqueued(aws) == []


@pytest.mark.parametrize("stop_at", [0, 10, 15, 30])
async def test_an_interrupted_replay_continues_where_it_stopped(aws: Aws, stop_at: int) -> None:
    """After an interrupt between any two batches, the next run sends the rest, each upload once."""
    clock = Clock()
    await frozen(aws, clock, "one", 34)
    sent = 0

    def progress(state: Any) -> None:
        nonlocal sent
        sent = state.sent

    first = await replayer(aws, clock).run("one", pace=FAST, stopping=lambda: sent >= stop_at, on_progress=progress)
    assert not first.done
    assert (await replayer(aws, clock).run("one", pace=FAST)).done
    assert Counter(upload.key for upload in await enqueued(aws)) == Counter(upload_of(record(n)).key for n in range(34))


async def test_a_cancelled_replay_finishes_its_batch_and_releases_its_lease(aws: Aws) -> None:
    """A cancellation during a send leaves no batch in doubt, and the next run need not wait."""
    clock = Clock()
    await frozen(aws, clock, "one", 30)
    running: asyncio.Task[Any] | None = None

    def cancel(call: int) -> None:
        if call == 2 and running is not None:
            running.cancel()

    running = asyncio.create_task(replayer(aws, clock, Tampered(aws.clients.sqs, before=cancel)).run("one", pace=FAST))
    with pytest.raises(asyncio.CancelledError):
        await running
    manifest = Manifest(aws.clients.dynamodb, aws.resources.table, clock=clock)
    entry = await manifest.find("one")
    assert entry is not None
    assert (entry.sent, entry.owner) == (20, None)
    await replayer(aws, clock).run("one", pace=FAST, patience_s=0)
    assert max(Counter(upload.key for upload in await enqueued(aws)).values()) == 1


class Killed(BaseException):
    """Simulates a kill: no code of the run continues after it."""


def kill(at: int) -> Callable[[int], None]:
    def tamper(call: int) -> None:
        if call == at:
            raise Killed

    return tamper


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_killed_replay_loses_nothing(aws: Aws, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill before SQS has a batch causes no duplicates; a kill after it may only repeat that batch."""
    clock = Clock()
    await frozen(aws, clock, "one", 30)

    async def gone(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "release", gone)
        with pytest.raises(Killed):
            await replayer(aws, clock, Tampered(aws.clients.sqs, **{moment: kill(2)})).run("one", pace=FAST)
    began = clock.now
    if moment == "after":  # the worker has processed two of the ten meanwhile
        await put(aws, [record(number, replay_id="one") for number in (10, 11)])
    assert (await replayer(aws, clock).run("one", pace=FAST)).done
    assert clock.now >= began + LEASE_S - 1, "the run that was killed might have been alive"
    counts = Counter(upload.key for upload in await enqueued(aws))
    assert set(counts) == {upload_of(record(number)).key for number in range(30)}
    twice = {key for key, count in counts.items() if count > 1}
    doubtful = {upload_of(record(number)).key for number in range(12, 20)}
    assert twice == (doubtful if moment == "after" else set())


async def test_two_runs_of_one_replay_exclude_each_other(aws: Aws) -> None:
    """While a run is active, another run of the same id is refused and enqueues nothing."""
    clock = Clock()
    await frozen(aws, clock, "one", 10)
    manifest = Manifest(aws.clients.dynamodb, aws.resources.table, clock=clock)
    await manifest.acquire("one")
    with pytest.raises(ReplayBusy, match="another process"):
        await replayer(aws, clock).run("one", pace=FAST, patience_s=3)
    assert await enqueued(aws) == []


async def test_a_run_that_lost_its_replay_writes_nothing(aws: Aws) -> None:
    """A run whose lease was taken over cannot store progress."""
    clock = Clock()
    await frozen(aws, clock, "one", 10)
    slow, quick = (Manifest(aws.clients.dynamodb, aws.resources.table, clock=clock) for _ in range(2))
    entry = await slow.acquire("one")
    clock.now += LEASE_S + 1
    await quick.acquire("one")
    with pytest.raises(ReplayBusy):
        await slow.advance(entry, sent=10)


async def test_only_entries_that_sqs_refused_are_sent_again(aws: Aws) -> None:
    """Refused entries of a batch are retried alone; if SQS keeps refusing them, the next run sends them."""

    class Refusing(Tampered):
        async def send_message_batch(self, **arguments: Any) -> Any:
            refused = [one for one in arguments["Entries"] if "000003" in one["MessageBody"]]
            passed = [one for one in arguments["Entries"] if one not in refused]
            answer = (
                await self._sqs.send_message_batch(QueueUrl=arguments["QueueUrl"], Entries=passed) if passed else {}
            )
            return {**answer, "Failed": [{"Id": one["Id"], "Code": "InternalError"} for one in refused]}

    clock = Clock()
    await frozen(aws, clock, "one", 15)
    with pytest.raises(ReceiptsError, match=r"SQS refused 1 messages in 5 attempts \(InternalError\)"):
        await replayer(aws, clock, Refusing(aws.clients.sqs)).run("one", pace=FAST)
    # Another pace changes the batches; uploads sent ahead are still known.
    await replayer(aws, clock).run("one", pace=Pace(per_s=2))
    counts = Counter(upload.key for upload in await enqueued(aws))
    assert len(counts) == 15
    assert set(counts.values()) == {1}


async def test_a_replay_keeps_its_pace(aws: Aws) -> None:
    """Thirty uploads at two per second take fourteen seconds, because the first batch is sent at once."""
    clock = Clock()
    await frozen(aws, clock, "one", 30)
    began = clock.now
    await replayer(aws, clock).run("one", pace=Pace(per_s=2))
    assert 12 <= clock.now - began <= 15


async def test_a_selection_is_chosen_from_the_table(aws: Aws) -> None:
    """Records selected by status or by model version become candidates that say whether they are answered."""
    newer = record(1).model
    assert newer is not None
    await put(
        aws,
        [record(0, status="failed"), record(1), record(2, model=newer.model_copy(update={"model_version": "1.10.0"}))],
    )
    results = Results(aws.clients.dynamodb, aws.resources.table)
    failed = [one async for one in from_table(results, Selection(statuses=("failed",)))]
    assert failed == [Candidate(upload_of(record(0, status="failed")), answered=False)]
    old = [one.upload.key async for one in from_table(results, Selection(), older_than="1.9.0")]
    assert old == ["in/000001.jpg"]
    counted = await estimate(from_table(results, Selection()))
    assert (counted.uploads, counted.calls(force=False), counted.calls(force=True)) == (3, 1, 3)


async def test_objects_without_a_record_are_found_under_a_prefix(aws: Aws) -> None:
    """A backfill takes objects whose content has no record, without folders and the worker's own output."""
    bucket = aws.resources.bucket
    for key in ("in/a.jpg", "in/b.jpg", "in/c.jpg", "in/", "_receipts/in/x.json", "other.jpg"):
        await aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    etag = (await aws.clients.s3.head_object(Bucket=bucket, Key="in/a.jpg"))["ETag"].strip('"')
    await put(
        aws, [record(0, document=f"{bucket}/in/a.jpg", etag=etag), record(1, document=f"{bucket}/in/b.jpg", etag="old")]
    )
    results = Results(aws.clients.dynamodb, aws.resources.table)
    new = [one.upload async for one in from_prefix(results, aws.clients.s3, bucket, "in/", recorded=False)]
    assert [upload.key for upload in new] == ["in/b.jpg", "in/c.jpg"]
    assert all(upload.etag and upload.size and upload.uploaded_at.tzinfo for upload in new)
    every = [one async for one in from_prefix(results, aws.clients.s3, bucket, "", recorded=True)]
    assert {one.upload.key: one.answered for one in every} == {
        "in/a.jpg": True, "in/b.jpg": False, "in/c.jpg": False, "other.jpg": False,
    }  # fmt: skip


async def test_named_documents_come_from_their_record_or_from_the_bucket(aws: Aws) -> None:
    """A key without a record is looked up in the bucket; a missing one is named in the error."""
    bucket = aws.resources.bucket
    await aws.clients.s3.put_object(Bucket=bucket, Key="new.jpg", Body=b"x")
    await put(aws, [record(0)])
    results = Results(aws.clients.dynamodb, aws.resources.table)
    found = [one async for one in from_keys(results, aws.clients.s3, [[record(0).document], [f"{bucket}/new.jpg"]])]
    assert [(one.upload.key, one.answered) for one in found] == [("in/000000.jpg", True), ("new.jpg", False)]
    with pytest.raises(BadQuery, match=r"neither a record nor an object exists for .*/gone\.jpg"):
        _ = [one async for one in from_keys(results, aws.clients.s3, [[f"{bucket}/gone.jpg"]])]


def event(number: int) -> str:
    """Return S3's event of upload `number`."""
    upload = upload_of(record(number))
    thing = {"key": upload.key, "eTag": upload.etag, "size": 1}
    said = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "eventTime": upload.uploaded_at.isoformat()}
    return json.dumps({"Records": [{**said, "s3": {"bucket": {"name": upload.bucket}, "object": thing}}]})


def dead_letters(aws: Aws, clock: Callable[[], float]) -> DeadLetters:
    return DeadLetters(
        sqs=aws.clients.sqs,
        queue_url=aws.resources.queue_url,
        results=Results(aws.clients.dynamodb, aws.resources.table),
        clock=clock,
    )


async def test_dead_letters_are_filtered_by_reason_and_go_back_once(aws: Aws) -> None:
    """Matching messages return as replay commands; the others stay in the dead-letter queue, visible."""
    dead = aws.resources.dead_letter_url
    await put(aws, [record(0, status="failed", reason="model_error"), record(1, status="failed", reason="timeout")])
    for body, reason in ((event(0), None), (event(1), None), ("nonsense", "not_json")):
        attributes: Any = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
        await aws.clients.sqs.send_message(QueueUrl=dead, MessageBody=body, MessageAttributes=attributes)
    letters = dead_letters(aws, lambda: dt.datetime.now(dt.UTC).timestamp())
    wanted = DeadLetterFilter(reason="model_error")
    assert (await letters.addresses())[0].rsplit("/")[-1] == dead.rsplit("/")[-1]
    assert await letters.look(dead, wanted) == (1, 1)
    assert await letters.look(dead, DeadLetterFilter(reason="not_json")) == (1, 1)
    command = ReplayCommand(replay_id="back", force=True)
    assert await letters.redrive(dead, wanted, command, pace=FAST) == 1
    assert await letters.redrive(dead, wanted, command, pace=FAST) == 0
    back = await enqueued(aws)
    assert [(one.key, one.replay_id, one.force) for one in back] == [("in/000000.jpg", "back", True)]
    assert await letters.count(dead) == 2
    assert await letters.look(dead, DeadLetterFilter(older_than_s=3_600)) == (0, 0)
    assert await letters.look(dead, DeadLetterFilter(younger_than_s=3_600)) == (2, 2)


async def test_an_interrupted_redrive_leaves_the_rest_where_it_was(aws: Aws) -> None:
    """After an interrupt, the remaining messages are still in the dead-letter queue and visible at once."""
    dead = aws.resources.dead_letter_url
    for number in range(6):
        await aws.clients.sqs.send_message(QueueUrl=dead, MessageBody=event(number))
    letters = dead_letters(aws, lambda: dt.datetime.now(dt.UTC).timestamp())
    moved = 0

    def progress(count: int) -> None:
        nonlocal moved
        moved = count

    command = ReplayCommand(replay_id="back", force=False)
    assert await letters.redrive(
        dead, DeadLetterFilter(), command, pace=FAST, stopping=lambda: moved >= 2, on_progress=progress
    ) == 2  # fmt: skip
    back, left = await enqueued(aws), await enqueued(aws, queue_url=dead)
    assert (len(back), len(left)) == (2, 4)
    assert len({one.key for one in (*back, *left)}) == 6


async def test_without_the_redrive_of_sqs_move_all_returns_none(aws: Aws) -> None:
    """Without StartMessageMoveTask, `move_all` returns None, so that the caller redrives the messages itself."""
    letters = dead_letters(aws, lambda: 0.0)
    _, arn = await letters.addresses()
    assert await letters.move_all(arn, pace=FAST) is None


def test_versions_are_ordered_by_number() -> None:
    """1.10 sorts after 1.9, a release candidate before the next patch, and no version before all others."""
    versions = ["2026-11-01", "1.10.0", "1.9.2", "1.0.1", "1.0-rc1", "1.0", ""]
    assert sorted(versions, key=version_key) == ["", "1.0", "1.0-rc1", "1.0.1", "1.9.2", "1.10.0", "2026-11-01"]


@pytest.mark.parametrize("rate", [0, -1, 0.1, 1e9, float("nan")])
def test_a_pace_that_cannot_be_kept_is_refused(rate: float) -> None:
    """A rate out of range is refused, and the error names the range."""
    with pytest.raises(BadQuery, match=r"between 0\.2 and 10000"):
        Pace(per_s=rate)


UPLOADS = int(os.environ.get("RECEIPTS_TEST_UPLOADS", "1000"))
"""Verified with 10,000. `make check` uses fewer, because the emulator is slow with a long queue."""


@pytest.mark.not_on("moto", "concurrency")
async def test_uploads_interrupted_three_times_are_enqueued_once_each(aws: Aws) -> None:
    """The command, stopped three times by signals and run again, enqueues each upload exactly once."""
    clock = Clock()
    await frozen(aws, clock, "big", UPLOADS)
    environment = {
        **os.environ,
        "RECEIPTS_QUEUE_URL": aws.resources.queue_url,
        "RECEIPTS_TABLE": aws.resources.table,
    }
    command = [sys.executable, "-m", "worker", "replay", "--id", "big", "--yes", "--json", "--rate", "5000"]
    manifest = Manifest(aws.clients.dynamodb, aws.resources.table, clock=clock)
    got: Counter[str] = Counter()
    for number, share in ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.3), (signal.SIGINT, 0.6), (None, 1)):
        run = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
        while number:
            entry = await manifest.find("big")
            assert entry is not None
            if entry.sent >= share * UPLOADS:
                run.send_signal(number)
                break
            await asyncio.sleep(0.02)
        out, _ = await run.communicate()
        said = json.loads(out)
        assert said["sent"] >= share * UPLOADS
        assert (run.returncode, said["done"]) == ((1, False) if number else (0, True))
        got += Counter(upload.key for upload in await enqueued(aws))
    assert got == Counter(upload_of(record(number)).key for number in range(UPLOADS))
