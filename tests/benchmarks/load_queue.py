"""A minimal SQS queue in memory, with visibility, to detect consumers that lose or strand messages."""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False)
class Message:
    """One message."""

    number: int
    body: str
    sent_at: float
    receives: int = 0
    hidden_until: float = math.inf
    """Time at which the message becomes visible by itself; infinite while it is visible or deleted."""

    @property
    def handle(self) -> str:
        """The receipt handle of the latest receive."""
        return f"{self.number}-{self.receives}"


class Queue:
    """A queue of visible, delayed and in-flight messages. Times are seconds of `clock`."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._visible: deque[Message] = deque()
        self._in_flight: dict[str, Message] = {}
        self._hidden: list[tuple[float, int, Message]] = []
        """A heap by the time of becoming visible. Of one message, only the entry equal to its `hidden_until` counts."""
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self.deleted = 0

    def send(self, body: str, *, delay_s: float = 0) -> Message:
        """Put a message on the queue that becomes visible after `delay_s` seconds."""
        message = Message(next(self._numbers), body, self._clock() + delay_s)
        if delay_s > 0:
            self._hide(message, delay_s)
        else:
            self._visible.append(message)
        return message

    def receive(self, most: int, *, visibility_s: float) -> list[Message]:
        """Return up to `most` messages, which stay invisible for `visibility_s` seconds."""
        self._reappear()
        messages = [self._visible.popleft() for _ in range(min(most, len(self._visible)))]
        for message in messages:
            message.receives += 1
            self._in_flight[message.handle] = message
            self._hide(message, visibility_s)
        return messages

    def delete(self, handle: str) -> None:
        """Delete by the latest handle. An older handle does nothing and is not an error, as with SQS."""
        self._reappear()
        if message := self._in_flight.pop(handle, None):
            message.hidden_until = math.inf
            self.deleted += 1

    def change_visibility(self, handle: str, visibility_s: float) -> None:
        """Make a message in flight visible after `visibility_s` seconds. An old handle does nothing."""
        self._reappear()
        if message := self._in_flight.get(handle):
            self._hide(message, visibility_s)
            self._reappear()

    def next_at(self) -> float | None:
        """Return the time at which the next message may become visible by itself."""
        return self._hidden[0][0] if self._hidden else None

    @property
    def visible(self) -> int:
        """Number of messages that can be received now."""
        self._reappear()
        return len(self._visible)

    @property
    def in_flight(self) -> int:
        """Number of messages that were received and not settled."""
        self._reappear()
        return len(self._in_flight)

    def _hide(self, message: Message, seconds: float) -> None:
        message.hidden_until = self._clock() + seconds
        heapq.heappush(self._hidden, (message.hidden_until, next(self._order), message))

    def _reappear(self) -> None:
        """Make messages visible whose time has come."""
        now = self._clock()
        while self._hidden and self._hidden[0][0] <= now:
            at, _, message = heapq.heappop(self._hidden)
            if at == message.hidden_until:
                message.hidden_until = math.inf
                self._in_flight.pop(message.handle, None)
                self._visible.append(message)
