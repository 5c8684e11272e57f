"""Permits: the worker takes one before it receives a message, so it never holds a message that it cannot work on."""

from worker.resilience.sync import FairQueue


class Permits:
    """A fixed number of permits, counted in one place."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most must be at least 1, not {most}")
        self.most = most
        self._free = most
        self._queue = FairQueue(self._try_take, self.give_back)

    @property
    def free(self) -> int:
        """Permits that are free; negative while a health probe was received beyond the permits."""
        return self._free

    @property
    def taken(self) -> int:
        """Permits that are held."""
        return self.most - self._free

    async def take(self, up_to: int) -> int:
        """Wait until a permit is free; take as many as are free, at most `up_to`, and return their number."""
        return await self._queue.take(up_to)

    def take_one(self) -> None:
        """Take one permit at once, even if none is free: for a message that is received as a health probe."""
        self._free -= 1

    def give_back(self, count: int = 1) -> None:
        """Give back `count` permits."""
        if self._free + count > self.most:
            raise ValueError("more permits given back than were taken")
        self._free += count
        self._queue.serve_soon()  # together, so that the next receive asks for all of them

    def _try_take(self, up_to: int) -> int | None:
        if self._free <= 0:
            return None
        count = min(self._free, up_to)
        self._free -= count
        return count
