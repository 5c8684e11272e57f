"""Settlement of messages: delete, change visibility, or send to the dead-letter queue."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sqs import QueueModel
from tests.support.virtual import now, virtual
from worker.messages.outcomes import DeadLetter, Done, Outcome, Reject, Release, Retry
from worker.messages.queue import MAX_MESSAGE_BYTES, DeadLetterEntry, Queue, Received
from worker.messages.settlement import SettlementPolicy, Settler
from worker.resilience.backoff import full_jitter


class Sqs:
    """An SQS client on the queue model. Chosen entries and calls fail."""

    def __init__(self, messages: int) -> None:
        self.model = QueueModel(clock=now, rng=random.Random(1), max_receive_count=5)
        for number in range(messages):
            self.model.send(f"m{number}", f"body {number}")
        self.failing: dict[str, int] = {}
        """Number of times that the entry of a handle will still fail."""
        self.fault = {"Code": "InternalError", "SenderFault": False}
        self.broken_calls = 0
        self.calls: list[str] = []
        self.dead: list[str] = []

    def _answer(self, kind: str, entries: list[Any], effect: Any) -> Any:
        self.calls.append(kind)
        if self.broken_calls:
            self.broken_calls -= 1
            raise ConnectionError
        names = {entry["Id"]: entry.get("ReceiptHandle") or entry["MessageBody"] for entry in entries}
        failed = [entry for entry in entries if self.failing.get(names[entry["Id"]], 0) > 0]
        for entry in failed:
            self.failing[names[entry["Id"]]] -= 1
        reply = effect([entry for entry in entries if entry not in failed])
        reply["Successful"].reverse()  # SQS does not guarantee an order
        reply.setdefault("Failed", []).extend({"Id": entry["Id"], **self.fault} for entry in failed)
        return reply

    async def delete_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803 - AWS's names
        return self._answer("delete", Entries, self.model.delete)

    async def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803 - the same
        return self._answer("change", Entries, self.model.change_visibility)

    async def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803 - the same
        def send(entries: list[Any]) -> Any:
            self.dead += [entry["MessageBody"] for entry in entries]
            return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

        assert sum(len(entry["MessageBody"]) for entry in Entries) <= MAX_MESSAGE_BYTES
        return self._answer("send", Entries, send)

    def receive(self) -> list[Received]:
        messages: list[Any] = self.model.receive(100, 120)["Messages"]
        return sorted(
            (Received(each["MessageId"], each["ReceiptHandle"], each["Body"], 1, None) for each in messages),
            key=lambda each: each.message_id,
        )


@asynccontextmanager
async def settling(sqs: Sqs) -> AsyncIterator[Settler]:
    queue = Queue(sqs, "q", dead_letter_url="d", max_receive_count=5)  # type: ignore[arg-type]  # has the methods that Queue calls
    settler = Settler(queue, SettlementPolicy(), rng=random.Random(1))
    running = asyncio.create_task(settler.run())
    try:
        yield settler
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("outcome", "left", "visible_in_s"),
    [
        (Done("extracted"), False, None),
        (Reject("empty"), False, None),
        (Release(), True, 0),
        (Retry("x"), True, None),
        (DeadLetter("not_json"), False, None),
    ],
)
@virtual
async def test_each_outcome_settles_the_message_in_its_way(
    outcome: Outcome, *, left: bool, visible_in_s: float | None
) -> None:
    """Done and reject delete, release shows at once, retry shows later, dead letter sends and then deletes."""
    sqs = Sqs(1)
    (message,) = sqs.receive()
    async with settling(sqs) as settler:
        await settler.settle(message, outcome)
    assert bool(sqs.model.copies) == left
    if visible_in_s is not None:
        assert sqs.model.copies[0].visible_at - now() == pytest.approx(visible_in_s, abs=0.1)
    assert sqs.dead == (["body 0"] if isinstance(outcome, DeadLetter) else [])


@virtual
async def test_deletes_are_batched() -> None:
    """Thirty deletes at once take three calls."""
    sqs = Sqs(30)
    async with settling(sqs) as settler:
        await asyncio.gather(*(settler.settle(message, Done()) for message in sqs.receive()))
    assert sqs.calls == ["delete"] * 3
    assert sqs.model.copies == []


@virtual
async def test_a_cancelled_handler_does_not_hold_up_its_batch() -> None:
    """The other entries of the batch are settled although one caller no longer waits."""
    sqs = Sqs(5)
    async with settling(sqs) as settler:
        settled = [asyncio.create_task(settler.settle(message, Done())) for message in sqs.receive()]
        await asyncio.sleep(0)
        settled[1].cancel()
        done, _ = await asyncio.wait(settled, timeout=60)
    assert len(done) == 5
    assert sqs.model.copies == []


@virtual
async def test_dead_letters_are_batched_and_sent_before_their_deletes() -> None:
    """Twelve dead letters take two calls. One that SQS refuses is sent again, and its message deleted only then."""
    sqs = Sqs(12)
    messages = sqs.receive()
    sqs.failing = {messages[3].body: 2}
    async with settling(sqs) as settler:
        settled = [asyncio.create_task(settler.settle(message, DeadLetter("not_json"))) for message in messages]
        await asyncio.sleep(0.01)
        assert sqs.calls[:2] == ["send"] * 2
        await asyncio.gather(*settled)
    assert sorted(sqs.dead) == sorted(message.body for message in messages)
    assert sqs.calls.count("send") == 4
    assert sqs.model.copies == []


@virtual
async def test_dead_letters_of_half_a_megabyte_do_not_share_a_call() -> None:
    """A call may carry one megabyte, so larger batches are split."""
    sqs = Sqs(0)
    for number in range(3):
        sqs.model.send(f"m{number}", str(number) * (MAX_MESSAGE_BYTES // 2))
    async with settling(sqs) as settler:
        await asyncio.gather(*(settler.settle(message, DeadLetter("not_json")) for message in sqs.receive()))
    assert sqs.calls.count("send") == 3
    assert sqs.model.copies == []


@given(body=st.text(alphabet="aé🧾", max_size=20), repeat=st.sampled_from([1, 100_000]), reason=st.just("not_json"))
def test_a_dead_letter_entry_fits_into_a_message(body: str, repeat: int, reason: str) -> None:
    """A dead-letter entry starts with the body, is cut to the limit of SQS, and is marked if it was cut."""
    received = Received("m", "h", body * repeat, 1, None)
    entry = DeadLetterEntry.of(received, reason)
    assert entry.size <= MAX_MESSAGE_BYTES
    assert received.body.startswith(entry.body)
    assert ("truncated" in entry.attributes) == (entry.body != received.body)


@pytest.mark.parametrize(("code", "left"), [("RequestThrottled", 0), ("ReceiptHandleIsInvalid", 1)])
@virtual
async def test_a_throttled_entry_is_tried_again_although_sqs_reports_a_sender_fault(code: str, left: int) -> None:
    """Throttling passes, so its entry is tried again; an invalid entry is not."""
    sqs = Sqs(1)
    (message,) = sqs.receive()
    sqs.failing, sqs.fault = {message.receipt_handle: 1}, {"Code": code, "SenderFault": True}
    async with settling(sqs) as settler:
        await settler.settle(message, Done())
    assert len(sqs.model.copies) == left


@given(st.lists(st.integers(0, 5), min_size=10, max_size=10), st.integers(0, 3))
@virtual
async def test_only_a_failed_entry_is_tried_again(failures: list[int], broken_calls: int) -> None:
    """When some entries and calls fail, every settled message is deleted in the end, and no other."""
    sqs = Sqs(12)
    messages = sqs.receive()
    sqs.failing = {message.receipt_handle: min(count, 2) for message, count in zip(messages, failures, strict=False)}
    sqs.broken_calls = broken_calls
    async with settling(sqs) as settler:
        await asyncio.gather(*(settler.settle(message, Done()) for message in messages[:10]))
    assert {copy.handle for copy in sqs.model.copies} == {message.receipt_handle for message in messages[10:]}


@virtual
async def test_a_message_whose_dead_letter_fails_is_not_deleted() -> None:
    """When the dead-letter queue takes nothing, the message stays on the queue."""
    sqs = Sqs(1)
    (message,) = sqs.receive()
    sqs.broken_calls = 6
    async with settling(sqs) as settler:
        await settler.settle(message, DeadLetter("not_json"))
    assert sqs.dead == []
    assert len(sqs.model.copies) == 1


@virtual
async def test_a_flush_settles_pending_messages_at_once() -> None:
    """A flush does not wait for batches to fill: pending messages are settled when it returns."""
    sqs = Sqs(3)
    queue = Queue(sqs, "q", dead_letter_url="d", max_receive_count=5)  # type: ignore[arg-type]  # as above
    settler = Settler(queue, SettlementPolicy(linger_s=60))
    settled = [asyncio.create_task(settler.settle(message, Done())) for message in sqs.receive()]
    await asyncio.sleep(0)
    await settler.flush()
    assert sqs.model.copies == []
    await asyncio.gather(*settled)


@given(st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_backoff_is_bounded(receives: int, rng: random.Random) -> None:
    """For any receive count, the pause is between zero and the cap, and its limit at most doubles each time."""
    pause = full_jitter(receives, base_s=5, cap_s=900, rng=rng)
    assert 0 <= pause <= min(900, 5 * 2 ** min(receives - 1, 60))
