"""The pool: processes that read receipts, so that the event loop never computes and each core has one network.

A process that is killed (out of memory, say) costs the calls in flight, which get `PoolLostError`; the pool is then
made anew by itself.
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
    """A process died while it held this call. The caller may send it again; it answers 503."""


class PoolBusyError(RuntimeError):
    """More calls wait than can be answered in time. The caller sends it again later; it answers 503."""


class Pool:
    """`processes` readers with `threads` threads each, and at most `waiting` calls that are not answered yet."""

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
        """Whether a call would be worked on at once or after others, not after a start."""
        return self._warm.is_set()

    async def wait_ready(self) -> None:
        """Wait until every process has its networks loaded and has run them once."""
        await self._warm.wait()

    def start(self) -> None:
        """Start the processes; `ready` turns true when they are warm."""
        self._warm.clear()
        self._executor = ProcessPoolExecutor(
            self.processes,
            mp_context=multiprocessing.get_context("spawn"),  # a fork would copy the parent's locks and threads
            initializer=_initialise,
            initargs=(self.threads,),
        )
        self._warming = asyncio.create_task(self._warm_up(self._executor), name="model-pool-warm-up")

    async def stop(self) -> None:
        """End the processes; what they are working on is dropped."""
        if self._warming:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        if self._executor:
            _end(self._executor)
            self._executor = None

    async def run(self, function: Callable[..., bytes], *arguments: Any) -> bytes:
        """Run `function` in one of the processes; raises what it raises, `PoolLostError` or `PoolBusyError`."""
        if len(self._calls) >= self.waiting:
            raise PoolBusyError(f"{len(self._calls)} calls are waiting already.")
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
            raise PoolLostError("The process that held this call has died.") from error

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        if self._executor is broken:  # the first of the calls that were lost with it
            log.error("model.pool.lost", processes=self.processes)
            _end(broken)
            self.start()

    async def _warm_up(self, executor: ProcessPoolExecutor) -> None:
        try:
            await asyncio.gather(*(asyncio.wrap_future(executor.submit(_warm)) for _ in range(self.processes)))
        except BrokenProcessPool:
            log.error("model.pool.start_failed")  # noqa: TRY400 - the process has said itself why it ended
            await asyncio.sleep(1)
            if self._executor is executor:
                _end(executor)
                self.start()
            return
        self._warm.set()
        log.info("model.pool.ready", processes=self.processes, threads=self.threads)


def _end(executor: ProcessPoolExecutor) -> None:
    processes = list((executor._processes or {}).values())  # noqa: SLF001 - there is no public way to end a busy one
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _initialise(threads: int) -> None:
    """Load the networks, in the new process; the parent alone decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    reader.load(threads=threads)


def _end_with_parent() -> None:
    """End when the parent is gone, however it ended: else this process would wait for calls for ever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _warm() -> None:
    reader.warm_up()
