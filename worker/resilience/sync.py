"""Waiting for other tasks: a fair queue, an event with a time limit, and work that outlives a cancellation.

The other folders use these, so that fairness and cancellation are decided once.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
END_S = 0.2
"""Time limit for the end of a cancelled task, seconds."""


class FairQueue:
    """Waiters for a shared amount, served in order of arrival: a large request is not starved by small ones."""

    def __init__(self, try_take: Callable[[int], int | None], give_back: Callable[[int], None]) -> None:
        """Build a queue for an amount that its owner counts.

        `try_take(wanted)` takes what a waiter may have and returns that amount, or None if the waiter must wait.
        `give_back(amount)` returns an amount to the owner, which then calls `serve` or `serve_soon`.
        """
        self._try_take = try_take
        self._give_back = give_back
        self._waiters: deque[tuple[int, asyncio.Future[int]]] = deque()
        self._serving = False

    async def take(self, wanted: int = 1) -> int:
        """Wait until every earlier waiter has been served and `try_take(wanted)` succeeds; return what it took."""
        if not self._waiters and (taken := self._try_take(wanted)) is not None:
            return taken
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiter = (wanted, turn)
        self._waiters.append(waiter)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # served in the moment of the cancellation
                self._give_back(turn.result())
            else:
                with contextlib.suppress(ValueError):  # `serve` may have dropped the cancelled waiter already
                    self._waiters.remove(waiter)
            self.serve()
            raise

    def serve(self) -> None:
        """Serve waiters while the first of them can be served."""
        while self._waiters:
            wanted, turn = self._waiters[0]
            if not turn.done():
                taken = self._try_take(wanted)
                if taken is None:
                    return
                turn.set_result(taken)
            self._waiters.popleft()

    def serve_soon(self) -> None:
        """Serve waiters after the callbacks that are ready now, so that several give-backs are served together."""
        if self._waiters and not self._serving:
            self._serving = True
            asyncio.get_running_loop().call_soon(self._serve_now)

    def _serve_now(self) -> None:
        self._serving = False
        self.serve()


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
        await _wait_through_cancellations(task, seconds)
        if not task.done():
            task.cancel()
            await _wait_through_cancellations(task, END_S)
        if task.done() and not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report it: the caller is cancelled anyway
        raise


async def _wait_through_cancellations(task: "asyncio.Future[T]", seconds: float) -> None:
    """Wait for `task`, at most `seconds`; further cancellations do not shorten the time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not task.done() and (left := until - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):  # the caller raises it afterwards
            await asyncio.wait({task}, timeout=left)


def is_being_cancelled() -> bool:
    """Return whether the current task itself is being cancelled, and not only a task that it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
