"""Worker processes that tests can kill, stop and count. None of them outlives the process that started it."""

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Self

import aiohttp

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["worker.runtime.process"])


def _work(environment: Mapping[str, str], log: str) -> None:
    """Run a worker with exactly `environment` until it gets a signal."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    with Path(log).open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    from worker import settings
    from worker.runtime import process

    os._exit(process.run(settings.load()))


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@dataclass
class WorkerProcess:
    """One worker process, its HTTP port and its log file."""

    process: ForkServerProcess
    port: int
    log: Path

    async def health(self) -> dict[str, Any]:
        """Return the answer of /health, or an empty dictionary if the worker does not answer."""
        timeout = aiohttp.ClientTimeout(total=1)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}/health") as reply,
            ):
                answer: dict[str, Any] = await reply.json()
                return answer
        except (aiohttp.ClientError, TimeoutError):
            return {}

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process.pid
        os.kill(self.process.pid, number)

    async def ended(self, *, within_s: float = 60) -> int:
        """Wait for the end of the process and return its exit code, negative for the signal that ended it."""
        async with asyncio.timeout(within_s):
            while self.process.exitcode is None:
                await asyncio.sleep(0.01)
        return self.process.exitcode


@dataclass
class Fleet:
    """A set of worker processes that are killed at the end of the `with` block."""

    environment: Mapping[str, str]
    directory: Path
    workers: list[WorkerProcess] = field(default_factory=list)

    def start(self, **settings: Any) -> WorkerProcess:
        """Start a worker with the environment's settings, overridden by `settings`."""
        port = _free_port()
        log = self.directory / f"worker-{len(self.workers)}.log"
        variables = {f"RECEIPTS_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {**self.environment, **variables, "RECEIPTS_HTTP_PORT": str(port)}
        process = _CONTEXT.Process(target=_work, args=(environment, str(log)), daemon=True)
        process.start()
        started = WorkerProcess(process, port, log)
        self.workers.append(started)
        return started

    async def started(self, worker: WorkerProcess, *, within_s: float = 60) -> None:
        """Wait until `worker` answers."""
        async with asyncio.timeout(within_s):
            while not await worker.health():
                assert worker.process.exitcode is None, worker.log.read_text()
                await asyncio.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.process.is_alive():
                worker.process.kill()
        for worker in self.workers:
            worker.process.join(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
