"""Virtual time: an event loop whose clock jumps to the next scheduled callback, so that an hour takes a millisecond."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
START = 1_700_000_000.0
"""The loop's initial time, so that loop times are also plausible seconds since the epoch."""


class Deadlock(AssertionError):
    """No callback is scheduled and no file is ready: every waiting task would wait indefinitely."""


class _Selector(selectors.SelectSelector):
    """A selector that advances the loop's clock instead of waiting."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now. If nothing is, advance the loop's clock by `timeout` seconds."""
        events = super().select(0)
        if not events:
            if timeout is None:
                raise Deadlock("every task waits for something that no task will do")
            self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with its own clock."""

    def __init__(self, start: float = START) -> None:
        self.now = start
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-6  # a float near START has no finer resolution

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self.now


def now() -> float:
    """Return the time of the running loop. Pass this function to the tested code as its clock."""
    return asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in virtual time that begins at 0 and return its result."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(0.0)) as runner:
        return runner.run(main)


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the coroutine function `test` in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def settle_down() -> None:
    """Let all tasks that are ready run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)
