"""A model of an SQS standard queue: visibility, receipt handles, duplicates, no order, and a dead-letter queue."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Copy:
    """One copy of a message. A standard queue may keep and deliver several."""

    message_id: str
    body: str
    visible_at: float
    sent_at: float
    receives: int = 0
    handle: str | None = None


class QueueModel:
    """A queue and its dead-letter queue. They use the clock that is passed in."""

    def __init__(self, *, clock: Callable[[], float], rng: random.Random, max_receive_count: int) -> None:
        self.copies: list[Copy] = []
        self.dead: list[Copy] = []
        self.sent_dead: list[str] = []
        self._clock = clock
        self._rng = rng
        self._most = max_receive_count
        self._handles = 0
        self._arrived = asyncio.Event()

    def send(self, message_id: str, body: str) -> None:
        """Put a message on the queue."""
        self.copies.append(Copy(message_id, body, self._clock(), self._clock()))
        self._arrived.set()

    def duplicate(self, at: int) -> None:
        """Deliver another copy of a message, even if the first copy is deleted."""
        original = self.copies[at % len(self.copies)]
        self.send(original.message_id, original.body)

    def visible(self) -> list[Copy]:
        """Return the copies that can be received now. Move those received too often to the dead-letter queue."""
        ready = [copy for copy in self.copies if copy.visible_at <= self._clock()]
        for copy in ready:
            if copy.receives >= self._most:
                self.copies.remove(copy)
                self.dead.append(copy)
        return [copy for copy in ready if copy in self.copies]

    def held(self, handle: str) -> bool:
        """Return whether `handle` is the latest of its copy and the copy is still invisible to other receivers."""
        return any(copy.handle == handle and copy.visible_at > self._clock() for copy in self.copies)

    async def wait(self, wait_s: float) -> None:
        """Wait until a message is visible, at most `wait_s` seconds."""
        deadline = self._clock() + wait_s
        while not self.visible() and self._clock() < deadline:
            self._arrived.clear()
            next_s = min([copy.visible_at for copy in self.copies] + [deadline]) - self._clock()
            try:
                async with asyncio.timeout(max(next_s, 0.001)):
                    await self._arrived.wait()
            except TimeoutError:
                pass

    def receive(self, count: int, visibility_s: float) -> dict[str, Any]:
        """Return up to `count` messages in any order."""
        ready = self.visible()
        chosen = self._rng.sample(ready, min(count, len(ready)))
        messages = []
        for copy in chosen:
            self._handles += 1
            copy.handle = f"handle-{self._handles}"
            copy.receives += 1
            copy.visible_at = self._clock() + visibility_s
            messages.append(
                {
                    "MessageId": copy.message_id,
                    "ReceiptHandle": copy.handle,
                    "Body": copy.body,
                    "Attributes": {
                        "ApproximateReceiveCount": str(copy.receives),
                        "SentTimestamp": str(int(copy.sent_at * 1000)),
                    },
                }
            )
        return {"Messages": messages} if messages else {}

    def delete(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Delete by handle. A stale handle succeeds and deletes nothing."""
        handles = {entry["ReceiptHandle"] for entry in entries}
        self.copies = [copy for copy in self.copies if copy.handle not in handles]
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

    def change_visibility(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Set visibility by handle. A message that is not in flight under its handle is a sender fault."""
        reply: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in entries:
            handle = entry["ReceiptHandle"]
            copy = next((copy for copy in self.copies if copy.handle == handle), None)
            if copy is None or copy.visible_at <= self._clock():
                reply["Failed"].append({"Id": entry["Id"], "Code": "MessageNotInflight", "SenderFault": True})
                continue
            copy.visible_at = self._clock() + entry["VisibilityTimeout"]
            self._arrived.set()
            reply["Successful"].append({"Id": entry["Id"]})
        return reply
