"""Redrive: what is in the dead-letter queue goes back to work, each body first sent and then deleted.

Without filters SQS's own redrive does it (StartMessageMoveTask). With filters, with force, or where SQS has no such
call, messages are received, those that fit are sent as replay commands for the uploads that they name (or as they are,
where they name none), and deleted; the others are made visible again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from worker.errors import ReceiptsError
from worker.receipts.document import Upload
from worker.replay.replayer import Pace
from worker.results.query import Results

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

BATCH: Final = 10
HOLD_S: Final = 120
"""Time for which a message that is looked at is kept from others, seconds."""
MOVE_LIMIT: Final = 500
"""Most messages a second of StartMessageMoveTask
(docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html)."""
POLL_S: Final = 2.0
NOT_HERE: Final = ("InvalidAction", "UnknownOperation", "NotImplemented", "AWS.SimpleQueueService.UnsupportedOperation")
"""What an SQS answers that has no StartMessageMoveTask: emulators; so does one whose answer is 500 or 501."""


@dataclass(frozen=True, kw_only=True)
class ReplayCommand:
    """How what is named by a dead letter is asked for again."""

    replay_id: str
    force: bool


@dataclass(frozen=True)
class DeadLetter:
    """One message of the dead-letter queue."""

    message_id: str
    handle: str
    body: str
    reason: str | None
    """Why it was dead-lettered; None where SQS moved it after its last receive and no record says why."""
    sent_at: float
    """When it came onto its first queue, seconds since the epoch."""
    uploads: tuple[Upload, ...]
    """What it names; empty where it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class DeadLetterFilter:
    """Which dead letters are wanted."""

    reason: str | None = None
    older_than_s: float | None = None
    younger_than_s: float | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == DeadLetterFilter()

    def wants(self, letter: DeadLetter, *, now: float) -> bool:
        """Tell whether `letter` fits."""
        age = now - letter.sent_at
        return (
            (self.reason is None or letter.reason == self.reason)
            and (self.older_than_s is None or age >= self.older_than_s)
            and (self.younger_than_s is None or age <= self.younger_than_s)
        )


class DeadLetters:
    """A dead-letter queue and the queue that its messages go back to."""

    def __init__(
        self,
        *,
        sqs: "SQSClient",
        queue_url: str,
        results: Results,
        read: Callable[[str], tuple[Upload, ...]],
        encode: Callable[[Upload], str],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`read` gives the uploads that a body names (none, where it is no body that we know); `encode` the reverse."""
        self._sqs = sqs
        self._queue_url = queue_url
        self._results = results
        self._read = read
        self._encode = encode
        self._sleep = sleep
        self._clock = clock

    async def addresses(self) -> tuple[str, str]:
        """Return the URL and the ARN of the dead-letter queue, or raise `ReceiptsError` where there is none."""
        import json

        answer = await self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        if not policy:
            raise ReceiptsError("the queue has no dead-letter queue: it has no redrive policy")
        arn = str(json.loads(policy)["deadLetterTargetArn"])
        name, account = arn.rsplit(":", 1)[1], arn.rsplit(":", 2)[1]
        url = await self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
        return url["QueueUrl"], arn

    async def count(self, url: str) -> int:
        """Return how many messages there are, as SQS estimates it."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    async def look(self, url: str, wanted: DeadLetterFilter) -> tuple[int, int]:
        """Return how many messages fit `wanted` and how many uploads they name; all are visible again afterwards."""
        messages = uploads = 0
        held: list[str] = []
        try:
            async for letters in self._received(url):
                held += [letter.handle for letter in letters]
                fitting = [letter for letter in letters if wanted.wants(letter, now=self._clock())]
                messages += len(fitting)
                uploads += sum(max(1, len(letter.uploads)) for letter in fitting)
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
        """Send what fits back to work and delete it; return how many messages that were."""
        moved = 0
        began = self._clock()
        held: list[str] = []
        try:
            async for letters in self._received(url):
                fitting = [letter for letter in letters if wanted.wants(letter, now=self._clock())]
                held += [letter.handle for letter in letters if letter not in fitting]
                for letter in fitting:
                    if stopping():
                        held.append(letter.handle)
                        continue
                    await self._sleep(pace.wait_s(moved, self._clock() - began))
                    await self._send_back(letter, command)
                    await self._sqs.delete_message(QueueUrl=url, ReceiptHandle=letter.handle)
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
        """Let SQS move everything back; return how many messages, or None where this SQS cannot."""
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
        """Give the messages of the queue, up to ten at a time, until there is none or one comes again."""
        seen: set[str] = set()
        while True:
            names: Any = ["SentTimestamp"]
            answer = await self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=1,
                VisibilityTimeout=HOLD_S,
                MessageSystemAttributeNames=names,
                MessageAttributeNames=["reason"],
            )
            letters = [self._letter(message) for message in answer.get("Messages", [])]
            fresh = [letter for letter in letters if letter.message_id not in seen]
            seen |= {letter.message_id for letter in letters}
            if fresh:
                yield await self._with_reasons(fresh)
            if len(fresh) < len(letters) or not letters:
                return

    def _letter(self, message: Any) -> DeadLetter:
        body = message.get("Body", "")
        return DeadLetter(
            message_id=message["MessageId"],
            handle=message["ReceiptHandle"],
            body=body,
            reason=message.get("MessageAttributes", {}).get("reason", {}).get("StringValue"),
            sent_at=int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1_000,
            uploads=self._read(body),
        )

    async def _with_reasons(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return `letters` with the reasons that the records of their uploads give, where they have none themselves."""
        silent = {letter.uploads[0].document for letter in letters if letter.reason is None and letter.uploads}
        found = await self._results.get_many(silent)

        def with_reason(letter: DeadLetter) -> DeadLetter:
            record = found.get(letter.uploads[0].document) if letter.uploads else None
            return replace(letter, reason=letter.reason or (record.reason if record else None))

        return [with_reason(letter) for letter in letters]

    async def _send_back(self, letter: DeadLetter, command: ReplayCommand) -> None:
        asked = [replace(upload, replay_id=command.replay_id, force=command.force) for upload in letter.uploads]
        for body in [self._encode(upload) for upload in asked] or [letter.body]:
            await self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)

    async def _let_go(self, url: str, handles: Sequence[str]) -> None:
        """Make messages visible again."""
        for start in range(0, len(handles), BATCH):
            entries: Any = [
                {"Id": str(at), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for at, handle in enumerate(handles[start : start + BATCH])
            ]
            await self._sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
