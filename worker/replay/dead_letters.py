"""Redrive: send the messages of the dead-letter queue back to the work queue.

Without filters, SQS's own redrive moves them (StartMessageMoveTask). With filters, with force, or if the emulator lacks
that call, this module receives the messages. A message that matches is sent as replay commands for its uploads, or
unchanged if it names none, and only then deleted. The others become visible again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from worker.errors import Malformed, ReceiptsError
from worker.messages.parse import parse, replay_body
from worker.messages.queue import BATCH, Entry, EntryFault, Queue, Received, RedrivePolicy
from worker.receipts.document import Upload
from worker.replay.replayer import Pace
from worker.results.query import Results

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

HOLD_S: Final = 120
"""Seconds for which a received message is hidden from other readers."""
MOVE_LIMIT: Final = 500
"""Most messages per second of StartMessageMoveTask
(docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html)."""
POLL_S: Final = 2.0
NOT_HERE: Final = ("InvalidAction", "UnknownOperation", "NotImplemented", "AWS.SimpleQueueService.UnsupportedOperation")
"""Error codes of emulators without StartMessageMoveTask. Others answer with status 500 or 501."""


@dataclass(frozen=True, kw_only=True)
class ReplayCommand:
    """The settings of the replay commands that replace dead-letter entries."""

    replay_id: str
    force: bool


@dataclass(frozen=True)
class DeadLetter:
    """One entry of the dead-letter queue."""

    message_id: str
    handle: str
    body: str
    reason: str | None
    """Why it was dead-lettered. None if SQS moved it after its last receive and no record gives a reason."""
    sent_at: float
    """When the message was first sent to a queue, in seconds since the epoch."""
    uploads: tuple[Upload, ...]
    """Uploads that it names. Empty if the body is not valid."""


@dataclass(frozen=True, kw_only=True)
class DeadLetterFilter:
    """A filter on dead-letter entries. Every condition that is not None must be met."""

    reason: str | None = None
    older_than_s: float | None = None
    younger_than_s: float | None = None

    @property
    def everything(self) -> bool:
        """Whether the filter has no conditions."""
        return self == DeadLetterFilter()

    def wants(self, dead_letter: DeadLetter, *, now: float) -> bool:
        """Return whether `dead_letter` matches at the time `now`, in seconds since the epoch."""
        age = now - dead_letter.sent_at
        return (
            (self.reason is None or dead_letter.reason == self.reason)
            and (self.older_than_s is None or age >= self.older_than_s)
            and (self.younger_than_s is None or age <= self.younger_than_s)
        )


class DeadLetters:
    """The dead-letter queue of a work queue, and the way back to the work queue."""

    def __init__(
        self,
        *,
        sqs: "SQSClient",
        queue_url: str,
        results: Results,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`queue_url` is the work queue. `clock` gives seconds since the epoch."""
        self._sqs = sqs
        self._queue = Queue(sqs, queue_url)
        self._results = results
        self._sleep = sleep
        self._clock = clock

    async def addresses(self) -> tuple[str, str]:
        """Return the URL and the ARN of the dead-letter queue. Raises `ReceiptsError` if there is none."""
        policy = await RedrivePolicy.of(self._sqs, self._queue.url)
        url = await policy.dead_letter_url(self._sqs)
        if url is None or policy.dead_letter_arn is None:
            raise ReceiptsError("the work queue has no dead-letter queue; set its RedrivePolicy")
        return url, policy.dead_letter_arn

    async def count(self, url: str) -> int:
        """Return SQS's estimate of the number of messages at `url`."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    async def look(self, url: str, wanted: DeadLetterFilter) -> tuple[int, int]:
        """Return how many messages match `wanted` and how many uploads they name. Leaves all of them visible."""
        messages = uploads = 0
        held: list[str] = []
        try:
            async for dead_letters in self._received(url):
                held += [dead_letter.handle for dead_letter in dead_letters]
                fitting = [dead_letter for dead_letter in dead_letters if wanted.wants(dead_letter, now=self._clock())]
                messages += len(fitting)
                uploads += sum(max(1, len(dead_letter.uploads)) for dead_letter in fitting)
        finally:
            await self._let_go(url, held)
        return messages, uploads

    async def redrive(
        self,
        url: str,
        wanted: DeadLetterFilter,
        command: ReplayCommand,
        *,
        pace: Pace,
        stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Send the matching messages back to the work queue and delete them here. Return how many."""
        moved = 0
        began = self._clock()
        held: list[str] = []
        try:
            async for dead_letters in self._received(url):
                fitting = [dead_letter for dead_letter in dead_letters if wanted.wants(dead_letter, now=self._clock())]
                held += [dead_letter.handle for dead_letter in dead_letters if dead_letter not in fitting]
                for dead_letter in fitting:
                    if stopping():
                        held.append(dead_letter.handle)
                        continue
                    await self._sleep(pace.wait_s(moved, self._clock() - began))
                    await self._send_back(dead_letter, command)
                    _raise_first(await Queue(self._sqs, url).delete([dead_letter.handle]))
                    moved += 1
                    on_progress(moved)
                if stopping():
                    break
        finally:
            await self._let_go(url, held)
        return moved

    async def move_all(
        self,
        arn: str,
        *,
        pace: Pace,
        stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> int | None:
        """Let SQS move all messages back. Return how many, or None if this SQS has no such call."""
        try:
            task = await self._sqs.start_message_move_task(
                SourceArn=arn, MaxNumberOfMessagesPerSecond=max(1, min(MOVE_LIMIT, int(pace.per_s)))
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in NOT_HERE or status in (500, 501):
                return None
            raise
        while True:
            answer = await self._sqs.list_message_move_tasks(SourceArn=arn, MaxResults=1)
            state = answer["Results"][0]
            moved = int(state.get("ApproximateNumberOfMessagesMoved", 0))
            on_progress(moved)
            if state["Status"] == "FAILED":
                raise ReceiptsError(f"SQS could not move the messages: {state.get('FailureReason')}")
            if state["Status"] not in ("RUNNING", "CANCELLING"):
                return moved
            if stopping() and state["Status"] == "RUNNING":
                await self._sqs.cancel_message_move_task(TaskHandle=task["TaskHandle"])
            await self._sleep(POLL_S)

    async def _received(self, url: str) -> AsyncIterator[list[DeadLetter]]:
        """Yield the messages of the queue in batches of up to ten, until it is empty or a message repeats."""
        seen: set[str] = set()
        while True:
            received = await Queue(self._sqs, url).receive(BATCH, wait_s=1, visibility_s=HOLD_S, attributes=["reason"])
            dead_letters = [_dead_letter(message) for message in received]
            fresh = [dead_letter for dead_letter in dead_letters if dead_letter.message_id not in seen]
            seen |= {dead_letter.message_id for dead_letter in dead_letters}
            if fresh:
                yield await self._with_reasons(fresh)
            if len(fresh) < len(dead_letters) or not dead_letters:
                return

    async def _with_reasons(self, dead_letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return `dead_letters`, taking a missing reason from the record of the first upload."""
        silent = {
            dead_letter.uploads[0].document
            for dead_letter in dead_letters
            if dead_letter.reason is None and dead_letter.uploads
        }
        found = await self._results.get_many(silent)

        def with_reason(dead_letter: DeadLetter) -> DeadLetter:
            record = found.get(dead_letter.uploads[0].document) if dead_letter.uploads else None
            return replace(dead_letter, reason=dead_letter.reason or (record.reason if record else None))

        return [with_reason(dead_letter) for dead_letter in dead_letters]

    async def _send_back(self, dead_letter: DeadLetter, command: ReplayCommand) -> None:
        asked = [replace(upload, replay_id=command.replay_id, force=command.force) for upload in dead_letter.uploads]
        bodies = [replay_body(upload) for upload in asked] or [dead_letter.body]
        for start in range(0, len(bodies), BATCH):
            _raise_first(await self._queue.send([Entry(body) for body in bodies[start : start + BATCH]]))

    async def _let_go(self, url: str, handles: Sequence[str]) -> None:
        """Make messages visible again."""
        for start in range(0, len(handles), BATCH):
            await Queue(self._sqs, url).change_visibility([(handle, 0) for handle in handles[start : start + BATCH]])


def _dead_letter(received: Received) -> DeadLetter:
    return DeadLetter(
        message_id=received.message_id,
        handle=received.receipt_handle,
        body=received.body,
        reason=received.attributes.get("reason"),
        sent_at=received.sent_at or 0.0,
        uploads=_uploads_of(received.body),
    )


def _raise_first(faults: Sequence[EntryFault | None]) -> None:
    """Raise `ReceiptsError` with the first fault, if there is one."""
    fault = next(filter(None, faults), None)
    if fault:
        raise ReceiptsError(f"SQS refused a message ({fault.code}); run the replay again")


def _uploads_of(body: str) -> tuple[Upload, ...]:
    """Return the uploads that `body` names, or none if it is malformed."""
    try:
        return parse(body).uploads
    except Malformed:
        return ()
