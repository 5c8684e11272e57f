"""The queue as SQS gives it: received messages, and replies of batches told apart entry by entry."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from worker.resilience.faults import THROTTLES

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

BATCH = 10
"""Messages in one call of SQS, at most
(docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)."""
MAX_MESSAGE_BYTES = 1_048_576
"""A message's body and attributes together, and those of all messages of one call (same page)."""
_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp", "AWSTraceHeader"]


@dataclass(frozen=True)
class Received:
    """One delivery of a message."""

    message_id: str
    receipt_handle: str
    body: str
    receives: int
    """How often it has been received, this time included."""
    sent_at: float | None
    """When it came onto the queue, seconds since the epoch."""
    trace_header: str | None = None


@dataclass(frozen=True)
class EntryFault:
    """Why one entry of a batch failed."""

    code: str
    senders: bool
    """The entry itself is wrong, so that trying again is no use."""


@dataclass(frozen=True)
class DeadLetterEntry:
    """A message for the dead-letter queue: a body as it came, and attributes that say why it is there."""

    body: str
    attributes: dict[str, str]

    @classmethod
    def of(cls, received: Received, reason: str) -> "DeadLetterEntry":
        """Return the letter about `received`, its body cut off where it would be larger than SQS takes."""
        attributes = {"reason": reason, "original_message_id": received.message_id}
        whole = cls(received.body, attributes)
        if whole.size <= MAX_MESSAGE_BYTES:
            return whole
        # What is cut off is the tail of a megabyte that names no upload; that it was cut is said.
        attributes["truncated"] = "true"
        room = MAX_MESSAGE_BYTES - cls("", attributes).size
        return cls(received.body.encode()[:room].decode(errors="ignore"), attributes)

    @cached_property
    def size(self) -> int:
        """Bytes that count against SQS's limit."""
        names = sum(len(name) + len("String") + len(value) for name, value in self.attributes.items())
        return len(self.body.encode()) + names


class Queue:
    """One SQS queue and its dead-letter queue."""

    def __init__(
        self, sqs: "SQSClient", url: str, *, dead_letter_url: str | None, max_receive_count: int | None
    ) -> None:
        self.url = url
        self.dead_letter_url = dead_letter_url
        self.max_receive_count = max_receive_count
        self._sqs = sqs

    async def receive(self, count: int, *, wait_s: int, visibility_s: float) -> list[Received]:
        """Return up to `count` messages, waiting `wait_s` seconds at most for the first."""
        reply = await self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=min(count, BATCH),
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=_whole(visibility_s),
            MessageSystemAttributeNames=_ATTRIBUTES,  # type: ignore[arg-type]  # a list of str stands for its literals
        )
        return [_received(message) for message in reply.get("Messages", [])]

    async def delete(self, handles: Sequence[str]) -> list[EntryFault | None]:
        """Delete up to 10 messages; return what became of each, None where it is gone."""
        entries = [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(handles)]
        reply = await self._sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]  # plain dicts stand for TypedDicts
        return _by_position(reply, len(entries))

    async def change_visibility(self, changes: Sequence[tuple[str, float]]) -> list[EntryFault | None]:
        """Set the visibility timeout, in seconds, of up to 10 messages; return what became of each."""
        entries = [
            {"Id": str(at), "ReceiptHandle": handle, "VisibilityTimeout": _whole(visibility_s)}
            for at, (handle, visibility_s) in enumerate(changes)
        ]
        reply = await self._sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]  # plain dicts stand for TypedDicts
        return _by_position(reply, len(entries))

    async def dead_letter(self, letters: Sequence[DeadLetterEntry]) -> list[EntryFault | None]:
        """Send up to 10 letters, `MAX_MESSAGE_BYTES` in all, to the dead-letter queue; return what became of each."""
        entries = [
            {
                "Id": str(at),
                "MessageBody": letter.body,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value} for name, value in letter.attributes.items()
                },
            }
            for at, letter in enumerate(letters)
        ]
        reply = await self._sqs.send_message_batch(QueueUrl=self.dead_letter_url or "", Entries=entries)  # type: ignore[arg-type]  # plain dicts stand for TypedDicts
        return _by_position(reply, len(entries))


def _whole(seconds: float) -> int:
    """SQS takes whole seconds; a fraction is rounded up, so that a lease is never shorter than it was meant to be."""
    return int(-(-seconds // 1))


def _received(message: Any) -> Received:
    attributes = message.get("Attributes", {})
    sent = attributes.get("SentTimestamp")
    return Received(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message.get("Body", ""),
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        sent_at=int(sent) / 1000 if sent else None,
        trace_header=attributes.get("AWSTraceHeader"),
    )


def _by_position(reply: Any, count: int) -> list[EntryFault | None]:
    """Sort a batch's reply by the position that each id stands for; an entry that is not named has failed."""
    results: list[EntryFault | None] = [EntryFault("Missing", senders=False)] * count
    for entry in reply.get("Successful", []):
        results[int(entry["Id"])] = None
    for entry in reply.get("Failed", []):
        code = str(entry.get("Code"))
        # A throttle is a 4xx, and so the sender's fault in SQS's words; but it passes.
        results[int(entry["Id"])] = EntryFault(code, senders=bool(entry.get("SenderFault")) and code not in THROTTLES)
    return results


async def open_queue(sqs: "SQSClient", url: str, *, max_receive_count: int | None) -> Queue:
    """Return the queue at `url` with what its redrive policy says about its dead-letter queue and receives.

    `max_receive_count`, where given, stands for the policy's if that is larger or missing.
    """
    reply = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    policy = json.loads(reply.get("Attributes", {}).get("RedrivePolicy") or "{}")
    dead_letter_url = None
    if arn := policy.get("deadLetterTargetArn"):
        *_, account, name = str(arn).split(":")
        dead_letter_url = (await sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account))["QueueUrl"]
    # A larger number than the policy's would have SQS take a message away before its last try is known to be that.
    limits = [int(limit) for limit in (max_receive_count, policy.get("maxReceiveCount")) if limit]
    return Queue(sqs, url, dead_letter_url=dead_letter_url, max_receive_count=min(limits, default=None))
