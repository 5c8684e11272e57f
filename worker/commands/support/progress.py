"""Long-running commands: a progress bar, and a stop in good order on Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.commands.support.terminal import console


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar over `total` and yield the function that sets how many are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    err = console(stderr=True)
    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, disable=not err.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C or SIGTERM came.

    The caller then ends its work in good order. A second signal ends the process at once.
    """
    stopped = False
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        nonlocal stopped
        stopped = True
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield lambda: stopped
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
