"""Waiting for other tasks: a fair queue, an event with a time limit, and work that outlives a cancellation.

Every room uses these three, so that fairness and cancellation are decided once.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class FairQueue:
    """Waiters for a shared amount, served in order of arrival: a large request is not starved by small ones."""

    def __init__(self, try_take: Callable[[int], bool], give_back: Callable[[int], None]) -> None:
        """`try_take(amount)` takes the amount if it is free and says so; `give_back(amount)` undoes that."""
        self._try_take = try_take
        self._give_back = give_back
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, amount: int = 1) -> None:
        """Wait until `amount` is free and every earlier waiter has been served; then take it."""
        if not self._waiters and self._try_take(amount):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (amount, turn)
        self._waiters.append(waiter)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # served in the moment of the cancellation
                self._give_back(amount)
            else:
                with contextlib.suppress(ValueError):  # `serve` may have dropped the cancelled waiter already
                    self._waiters.remove(waiter)
            self.serve()
            raise

    def serve(self) -> None:
        """Serve waiters while the first of them can be served; call this after every give-back."""
        while self._waiters:
            amount, turn = self._waiters[0]
            if not turn.done():
                if not self._try_take(amount):
                    return
                turn.set_result(None)
            self._waiters.popleft()


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for `event`, at most `seconds` (None: no limit); return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()


async def finish_within(seconds: float, work: Awaitable[T]) -> T:
    """Return the result of `work`; a cancellation of the caller first gives `work` up to `seconds` to finish."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=seconds)
        if task.done() and not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report it: the caller is cancelled anyway
        task.cancel()
        raise
