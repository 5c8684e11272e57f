"""The budget of bytes that uploads may take in memory at a time."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Held:
    """What one upload holds of the budget."""

    def __init__(self, budget: "ByteBudget", size: int) -> None:
        self._budget = budget
        self.size = size

    async def grow(self, size: int) -> None:
        """Make it `size` bytes, now that the size is known; may wait for others, having given back its own first."""
        size = min(size, self._budget.most)
        if size > self.size:
            self._budget.give_back(self.size)
            self.size = 0
            await self._budget.take(size)
        else:
            self._budget.give_back(self.size - size)
        self.size = size


class ByteBudget:
    """So many bytes at a time, first come, first served, so that a large upload is not starved by small ones."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most must be positive, not {most}")
        self.most = most
        self._free = most
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        """Bytes that are held."""
        return self.most - self._free

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[Held]:
        """Wait until `size` bytes are free and hold them; more than the whole budget counts as the whole budget."""
        size = min(size, self.most)
        await self.take(size)
        held = Held(self, size)
        try:
            yield held
        finally:
            self.give_back(held.size)

    async def take(self, size: int) -> None:
        """Wait for `size` bytes."""
        if size <= self._free and not self._waiters:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                with contextlib.suppress(ValueError):  # what was given back meanwhile has passed it over
                    self._waiters.remove((size, turn))
                self._hand_out()
            raise

    def give_back(self, size: int) -> None:
        """Give back `size` bytes."""
        self._free += size
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiters and self._waiters[0][0] <= self._free:
            size, turn = self._waiters.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)
