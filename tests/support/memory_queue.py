"""A queue in memory on the running loop's clock, with visibility, receive counts, long polls and dead letters."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker.messages.queue import Entry, EntryFault, Queue, Received
from worker.resilience.sync import wait_for


@dataclass
class _Message:
    body: str
    number: int
    visible_at: float = 0.0
    receives: int = 0
    handle: str | None = None


@dataclass
class MemoryQueue(Queue):
    """A queue in memory. Each call takes `call_s` seconds."""

    max_receive_count: int | None = 5
    call_s: float = 0.0
    fails: Callable[[str], Exception | None] = lambda _: None
    """Called with the name of each call. An exception that it returns is raised."""
    dead: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)
    """Time and name of each call."""

    def __post_init__(self) -> None:
        self.url = "memory"
        self.dead_letter_url = "memory-dead-letter"
        self.messages: list[_Message] = []
        self.receives: dict[str, int] = {}
        self._changed = asyncio.Event()

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def put(self, *bodies: str) -> None:
        """Put messages on the queue."""
        for body in bodies:
            self.messages.append(_Message(body, len(self.messages)))
        self._changed.set()

    async def _call(self, name: str) -> None:
        self.calls.append((self._now, name))
        await asyncio.sleep(self.call_s)
        if error := self.fails(name):
            raise error

    async def receive(
        self, count: int, *, wait_s: int, visibility_s: float, attributes: Sequence[str] = ()
    ) -> list[Received]:
        await self._call("receive")
        ends = self._now + wait_s
        while not (visible := self._visible(count)) and self._now < ends:
            self._changed.clear()
            next_visible = min((message.visible_at for message in self.messages), default=ends)
            await wait_for(self._changed, min(next_visible, ends) - self._now)
        return [self._received(message, visibility_s) for message in visible]

    def _visible(self, count: int) -> list[_Message]:
        ready = [message for message in self.messages if message.visible_at <= self._now]
        for message in [message for message in ready if message.receives >= (self.max_receive_count or 1_000)]:
            self.messages.remove(message)
            ready.remove(message)
            self.dead.append(message.body)
        return ready[:count]

    def _received(self, message: _Message, visibility_s: float) -> Received:
        message.receives += 1
        message.visible_at = self._now + visibility_s
        message.handle = f"{message.number}/{message.receives}"
        self.receives[message.body] = message.receives
        return Received(f"id-{message.number}", message.handle, message.body, message.receives, None)

    async def delete(self, handles: Sequence[str]) -> list[EntryFault | None]:
        await self._call("delete")
        return [self._delete(handle) for handle in handles]

    def _delete(self, handle: str) -> EntryFault | None:
        message = self._held(handle)
        if message is None:
            return EntryFault("ReceiptHandleIsInvalid", senders=True)
        self.messages.remove(message)
        self.deleted.append(message.body)
        return None

    async def change_visibility(self, changes: Sequence[tuple[str, float]]) -> list[EntryFault | None]:
        await self._call("change_visibility")
        return [self._change(handle, visibility_s) for handle, visibility_s in changes]

    def _change(self, handle: str, visibility_s: float) -> EntryFault | None:
        message = self._held(handle)
        if message is None or message.visible_at <= self._now:
            return EntryFault("MessageNotInflight", senders=True)
        message.visible_at = self._now + visibility_s
        self._changed.set()
        return None

    def _held(self, handle: str) -> _Message | None:
        return next((message for message in self.messages if message.handle == handle), None)

    async def dead_letter(self, messages: Sequence[Entry]) -> list[EntryFault | None]:
        await self._call("dead_letter")
        self.dead += [message.body for message in messages]
        return [None] * len(messages)
