"""An SQS queue: received messages, batch calls with a result per entry, and the redrive policy."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from worker.resilience.faults import THROTTLES

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

BATCH = 10
"""Messages in one SQS call, at most
(docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)."""
MAX_MESSAGE_BYTES = 1_048_576
"""Bytes of one message with its attributes, and of all messages in one call (same page)."""
_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp"]


@dataclass(frozen=True)
class Received:
    """One delivery of a message."""

    message_id: str
    receipt_handle: str
    body: str
    receives: int
    """Number of receives of this message, this one included."""
    sent_at: float | None
    """When the message was sent to the queue, seconds since the epoch."""
    attributes: dict[str, str] = field(default_factory=dict)
    """String attributes that were requested by name."""


@dataclass(frozen=True)
class EntryFault:
    """Why one entry of a batch failed."""

    code: str
    senders: bool
    """Whether the entry itself is wrong, so that a retry is useless."""


@dataclass(frozen=True)
class Entry:
    """One message to send: a body and string attributes."""

    body: str
    attributes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        """Bytes that count against the limit of SQS."""
        named = sum(len(name) + len("String") + len(value) for name, value in self.attributes.items())
        return len(self.body.encode()) + named

    def as_request(self, entry_id: str) -> dict[str, Any]:
        """Return the entry as SendMessageBatch takes it."""
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in self.attributes.items()}
        request: dict[str, Any] = {"Id": entry_id, "MessageBody": self.body}
        return request | ({"MessageAttributes": attributes} if attributes else {})


class DeadLetterEntry(Entry):
    """A message for the dead-letter queue: the original body, and attributes that say why it is there."""

    @classmethod
    def of(cls, received: Received, reason: str) -> "DeadLetterEntry":
        """Return the entry for `received`; a body that would exceed the limit of SQS is cut off and marked."""
        attributes = {"reason": reason, "original_message_id": received.message_id}
        whole = cls(received.body, attributes)
        if whole.size <= MAX_MESSAGE_BYTES:
            return whole
        attributes["truncated"] = "true"
        room = MAX_MESSAGE_BYTES - cls("", attributes).size
        return cls(received.body.encode()[:room].decode(errors="ignore"), attributes)


@dataclass(frozen=True)
class RedrivePolicy:
    """The redrive policy of a queue; both fields are None if it has none."""

    dead_letter_arn: str | None = None
    max_receive_count: int | None = None

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Return the policy that the queue attribute `RedrivePolicy` holds."""
        policy = json.loads(text or "{}")
        count = policy.get("maxReceiveCount")
        return cls(policy.get("deadLetterTargetArn"), int(count) if count else None)

    @classmethod
    async def of(cls, sqs: "SQSClient", url: str) -> Self:
        """Ask SQS for the policy of the queue at `url`."""
        reply = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        return cls.parse(reply.get("Attributes", {}).get("RedrivePolicy"))

    async def dead_letter_url(self, sqs: "SQSClient") -> str | None:
        """Ask SQS for the URL of the dead-letter queue; None if the queue has none."""
        if self.dead_letter_arn is None:
            return None
        *_, account, name = self.dead_letter_arn.split(":")
        return (await sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account))["QueueUrl"]


class Queue:
    """One SQS queue and its dead-letter queue. Batch calls take at most `BATCH` entries."""

    def __init__(
        self,
        sqs: "SQSClient",
        url: str,
        *,
        dead_letter_url: str | None = None,
        max_receive_count: int | None = None,
    ) -> None:
        self.url = url
        self.dead_letter_url = dead_letter_url
        self.max_receive_count = max_receive_count
        self._sqs = sqs

    def is_last_receive(self, received: Received) -> bool:
        """Return whether SQS moves the message to the dead-letter queue instead of delivering it again."""
        return self.max_receive_count is not None and received.receives >= self.max_receive_count

    async def receive(
        self, count: int, *, wait_s: int, visibility_s: float, attributes: Sequence[str] = ()
    ) -> list[Received]:
        """Return up to `count` messages with the named `attributes`; wait at most `wait_s` seconds for the first."""
        named: dict[str, Any] = {"MessageAttributeNames": list(attributes)} if attributes else {}
        reply = await self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=min(count, BATCH),
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=_whole_seconds(visibility_s),
            MessageSystemAttributeNames=_ATTRIBUTES,  # type: ignore[arg-type]  # a list of str in place of its literals
            **named,
        )
        return [_received(message) for message in reply.get("Messages", [])]

    async def delete(self, handles: Sequence[str]) -> list[EntryFault | None]:
        """Delete messages; return the fault of each, None where it is deleted."""
        entries: Any = [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(handles)]
        reply = await self._sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return _by_position(reply, len(entries))

    async def change_visibility(self, changes: Sequence[tuple[str, float]]) -> list[EntryFault | None]:
        """Set the visibility timeout, in seconds, of messages; return the fault of each, None where it is set."""
        entries: Any = [
            {"Id": str(at), "ReceiptHandle": handle, "VisibilityTimeout": _whole_seconds(visibility_s)}
            for at, (handle, visibility_s) in enumerate(changes)
        ]
        reply = await self._sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)
        return _by_position(reply, len(entries))

    async def send(self, messages: Sequence[Entry]) -> list[EntryFault | None]:
        """Send messages of at most `MAX_MESSAGE_BYTES` together; return the fault of each, None where it is sent."""
        return await self._send(self.url, messages)

    async def dead_letter(self, messages: Sequence[Entry]) -> list[EntryFault | None]:
        """Send messages to the dead-letter queue; as `send`."""
        return await self._send(self.dead_letter_url or "", messages)

    async def _send(self, url: str, messages: Sequence[Entry]) -> list[EntryFault | None]:
        entries: Any = [message.as_request(str(at)) for at, message in enumerate(messages)]
        return _by_position(await self._sqs.send_message_batch(QueueUrl=url, Entries=entries), len(entries))


def _whole_seconds(seconds: float) -> int:
    """Round up to whole seconds, which is all that SQS takes: a lease is never shorter than it was meant to be."""
    return int(-(-seconds // 1))


def _received(message: Any) -> Received:
    system = message.get("Attributes", {})
    sent = system.get("SentTimestamp")
    return Received(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message.get("Body", ""),
        receives=int(system.get("ApproximateReceiveCount", 1)),
        sent_at=int(sent) / 1000 if sent else None,
        attributes={
            name: str(value["StringValue"])
            for name, value in message.get("MessageAttributes", {}).items()
            if "StringValue" in value
        },
    )


def _by_position(reply: Any, count: int) -> list[EntryFault | None]:
    """Return the fault of each entry by its position. An entry that the reply does not name has failed."""
    results: list[EntryFault | None] = [EntryFault("Missing", senders=False)] * count
    for entry in reply.get("Successful", []):
        results[int(entry["Id"])] = None
    for entry in reply.get("Failed", []):
        code = str(entry.get("Code"))
        # SQS calls a throttle a fault of the sender; but it passes.
        results[int(entry["Id"])] = EntryFault(code, senders=bool(entry.get("SenderFault")) and code not in THROTTLES)
    return results


async def open_queue(sqs: "SQSClient", url: str, *, max_receive_count: int | None) -> Queue:
    """Return the queue at `url` with its dead-letter queue and its limit of receives.

    The limit is the smaller of `max_receive_count` and the redrive policy's. A larger one would let SQS move a message
    away before the worker has recorded its last attempt.
    """
    policy = await RedrivePolicy.of(sqs, url)
    limits = [limit for limit in (max_receive_count, policy.max_receive_count) if limit]
    dead_letter_url = await policy.dead_letter_url(sqs)
    return Queue(sqs, url, dead_letter_url=dead_letter_url, max_receive_count=min(limits, default=None))
