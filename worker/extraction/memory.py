"""The memory budget: the bytes of uploads that may be in memory at the same time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.resilience.sync import FairQueue


class Reservation:
    """The share of the budget that one upload holds."""

    def __init__(self, budget: "ByteBudget", size: int) -> None:
        self._budget = budget
        self.size = size

    async def grow(self, size: int) -> None:
        """Change the share to `size` bytes once the size is known.

        A larger share is given back first and requested again, so that two growing uploads cannot block each other.
        """
        size = min(size, self._budget.most)
        if size > self.size:
            self._budget.give_back(self.size)
            self.size = 0
            await self._budget.take(size)
        else:
            self._budget.give_back(self.size - size)
        self.size = size


class ByteBudget:
    """A fixed number of bytes, handed out in order of arrival."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most must be positive, not {most}")
        self.most = most
        self._free = most
        self._queue = FairQueue(self._try_take, self.give_back)

    @property
    def taken(self) -> int:
        """Bytes that are held."""
        return self.most - self._free

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[Reservation]:
        """Wait until `size` bytes are free and hold them; a larger size counts as the whole budget."""
        size = min(size, self.most)
        await self.take(size)
        held = Reservation(self, size)
        try:
            yield held
        finally:
            self.give_back(held.size)

    async def take(self, size: int) -> None:
        """Wait for `size` bytes and take them."""
        await self._queue.take(size)

    def give_back(self, size: int) -> None:
        """Return `size` bytes to the budget."""
        self._free += size
        self._queue.serve()

    def _try_take(self, size: int) -> int | None:
        if size > self._free:
            return None
        self._free -= size
        return size
