"""Virtual time: an event loop whose clock jumps to the next thing that is due, so that an hour takes a millisecond."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
START = 1_700_000_000.0
"""The loop's first moment, so that it can also stand for seconds since the epoch."""


class Deadlock(AssertionError):
    """Nothing is due and nothing is ready: whoever waits would wait for ever."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting, moves the loop's clock."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; where nothing is, let `timeout` seconds pass on the loop's clock."""
        events = super().select(0)
        if not events:
            if timeout is None:
                raise Deadlock("every task waits for something that nobody will do")
            self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own."""

    def __init__(self, start: float = START) -> None:
        self.now = start
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-6  # what START leaves of a float's digits

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self.now


def now() -> float:
    """Return the time of the running loop: the clock to pass to what is tested."""
    return asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns, run in virtual time that begins at 0."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(0.0)) as runner:
        return runner.run(main)


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the coroutine function `test` in virtual time; no task may be left over."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def settle_down() -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)
