"""Permits: taken before a message is received, so that no task ever holds a message that it cannot work on at once."""

import asyncio


class Permits:
    """So many messages at a time, counted in one place."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most must be at least 1, not {most}")
        self.most = most
        self._free = most
        self._freed = asyncio.Event()
        self._freed.set()

    @property
    def free(self) -> int:
        """Permits that nobody holds; negative where some were taken beyond them."""
        return self._free

    @property
    def taken(self) -> int:
        """Permits that are held."""
        return self.most - self._free

    async def take(self, up_to: int) -> int:
        """Wait until a permit is free and take as many as there are, `up_to` at most; return how many."""
        while self._free <= 0:
            self._freed.clear()
            await self._freed.wait()
        count = min(self._free, up_to)
        self._free -= count
        return count

    def take_one(self) -> None:
        """Take one permit at once, though none may be free: for a holder that is worth more than the bound."""
        self._free -= 1

    def give_back(self, count: int = 1) -> None:
        """Give back `count` permits."""
        if self._free + count > self.most:
            raise ValueError("more permits given back than were taken")
        self._free += count
        if count:
            self._freed.set()
