"""An SQS queue in memory, with its visibility: as little as tells whether a consumer loses or strands messages."""

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
    """When it becomes visible by itself; infinite while it is visible, and once it is deleted."""

    @property
    def handle(self) -> str:
        """The receipt handle of its newest receive."""
        return f"{self.number}-{self.receives}"


class Queue:
    """Messages that are visible, in flight or delayed. Times are seconds of `clock`."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._visible: deque[Message] = deque()
        self._in_flight: dict[str, Message] = {}
        self._hidden: list[tuple[float, int, Message]] = []
        """By when they become visible; of one message the entry counts that has its `hidden_until`."""
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self.deleted = 0

    def send(self, body: str, *, delay_s: float = 0) -> Message:
        """Put a message onto the queue, visible after `delay_s` seconds."""
        message = Message(next(self._numbers), body, self._clock() + delay_s)
        if delay_s > 0:
            self._hide(message, delay_s)
        else:
            self._visible.append(message)
        return message

    def receive(self, most: int, *, visibility_s: float) -> list[Message]:
        """Return up to `most` messages, which nobody else gets for `visibility_s` seconds."""
        self._reappear()
        messages = [self._visible.popleft() for _ in range(min(most, len(self._visible)))]
        for message in messages:
            message.receives += 1
            self._in_flight[message.handle] = message
            self._hide(message, visibility_s)
        return messages

    def delete(self, handle: str) -> None:
        """Delete by the newest handle; an older one does nothing, and SQS says nothing about it."""
        self._reappear()
        if message := self._in_flight.pop(handle, None):
            message.hidden_until = math.inf
            self.deleted += 1

    def change_visibility(self, handle: str, visibility_s: float) -> None:
        """Let a message in flight become visible after `visibility_s` seconds; an old handle does nothing."""
        self._reappear()
        if message := self._in_flight.get(handle):
            self._hide(message, visibility_s)
            self._reappear()

    def next_at(self) -> float | None:
        """Return when the next message may become visible by itself."""
        return self._hidden[0][0] if self._hidden else None

    @property
    def visible(self) -> int:
        """Messages that a receive would get now."""
        self._reappear()
        return len(self._visible)

    @property
    def in_flight(self) -> int:
        """Messages that somebody has received and nobody has settled."""
        self._reappear()
        return len(self._in_flight)

    def _hide(self, message: Message, seconds: float) -> None:
        message.hidden_until = self._clock() + seconds
        heapq.heappush(self._hidden, (message.hidden_until, next(self._order), message))

    def _reappear(self) -> None:
        """Make visible what has been hidden for long enough."""
        now = self._clock()
        while self._hidden and self._hidden[0][0] <= now:
            at, _, message = heapq.heappop(self._hidden)
            if at == message.hidden_until:
                message.hidden_until = math.inf
                self._in_flight.pop(message.handle, None)
                self._visible.append(message)
