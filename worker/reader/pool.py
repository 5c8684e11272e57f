"""The pool of reader processes: keeps computation out of the event loop, and gives each core a reader.

If a process is killed (out of memory, say), all calls in the pool fail with `PoolLostError`, and the pool restarts.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import structlog

from worker.reader import reader

log = structlog.get_logger()


class PoolLostError(RuntimeError):
    """A process died during this call. The response is 503, and the caller may retry."""


class PoolBusyError(RuntimeError):
    """More calls wait than can be answered in time. The response is 503, and the caller retries later."""


class Pool:
    """A pool of `processes` readers with `threads` threads each. It holds at most `waiting` unanswered calls."""

    def __init__(self, *, processes: int, threads: int, waiting: int) -> None:
        for name, value in (("processes", processes), ("threads", threads), ("waiting", waiting)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        self.processes = processes
        self.threads = threads
        self.waiting = waiting
        self._calls: set[Future[Any]] = set()
        self._executor: ProcessPoolExecutor | None = None
        self._warming: asyncio.Task[None] | None = None
        self._warm = asyncio.Event()

    @property
    def ready(self) -> bool:
        """True if the processes are warm: a call may wait for other calls, but not for a start."""
        return self._warm.is_set()

    async def wait_ready(self) -> None:
        """Wait until every process has loaded its networks and run them once."""
        await self._warm.wait()

    def start(self) -> None:
        """Start the processes. `ready` becomes true when they are warm."""
        self._warm.clear()
        self._executor = ProcessPoolExecutor(
            self.processes,
            mp_context=multiprocessing.get_context("spawn"),  # a fork would copy the parent's locks
            initializer=_initialise,
            initargs=(self.threads,),
        )
        self._warming = asyncio.create_task(self._warm_up(self._executor), name="reader-pool-warm-up")

    async def stop(self) -> None:
        """Kill the processes. Calls in progress are dropped."""
        if self._warming:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        if self._executor:
            _end(self._executor)
            self._executor = None

    async def run(self, function: Callable[..., bytes], *arguments: Any) -> bytes:
        """Return the result of `function`, run in one of the processes.

        Raises `PoolLostError`, `PoolBusyError`, and whatever the function raises.
        """
        if len(self._calls) >= self.waiting:
            raise PoolBusyError(f"{len(self._calls)} calls are waiting already. Try again later.")
        executor = self._executor
        if executor is None:
            raise PoolLostError("The server is stopping.")
        try:
            call = executor.submit(function, *arguments)
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            return await asyncio.wrap_future(call)
        except BrokenProcessPool as error:
            self._replace(executor)
            raise PoolLostError("A reader process died during this call. Try again.") from error

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        if self._executor is broken:  # only the first of the lost calls restarts the pool
            log.error("reader.pool.lost", processes=self.processes)
            _end(broken)
            self.start()

    async def _warm_up(self, executor: ProcessPoolExecutor) -> None:
        try:
            await asyncio.gather(*(asyncio.wrap_future(executor.submit(_warm)) for _ in range(self.processes)))
        except BrokenProcessPool:
            log.error("reader.pool.start_failed")  # noqa: TRY400 - the process itself has logged why it ended
            await asyncio.sleep(1)
            if self._executor is executor:
                _end(executor)
                self.start()
            return
        self._warm.set()
        log.info("reader.pool.ready", processes=self.processes, threads=self.threads)


def _end(executor: ProcessPoolExecutor) -> None:
    processes = list((executor._processes or {}).values())  # noqa: SLF001 - no public method ends a busy process
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _initialise(threads: int) -> None:
    """Load the networks in the new process. It ignores SIGINT, because the parent decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    reader.load(threads=threads)


def _end_with_parent() -> None:
    """Exit when the parent is gone: otherwise this process would wait for calls without end."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _warm() -> None:
    reader.warm_up()
