"""The embedded stack as one object: emulator, resources, reader, SageMaker front and workers."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import aiohttp

from worker.aws.resources import ResourceSpecs
from worker.commands.support import local_stack
from worker.console.fleet import COUNT_FILE
from worker.errors import ReceiptsError, SettingsError
from worker.workbench.local import emulator, environment, provision, recovery
from worker.workbench.local.clients import clients
from worker.workbench.local.emulator import HOST
from worker.workbench.local.endpoint import Front
from worker.workbench.local.processes import Child, Death, Family

if TYPE_CHECKING:
    from worker.aws.clients import Clients
    from worker.workbench.local.provision import Provisioned

READER_START_S = 120.0
READER_LOOK_S = 0.1
READER_STOP_S = 3.0
"""Short, because no worker waits for an answer any more when the reader stops."""
WORKER_STOP_S = 40.0
"""Longer than a worker's own stop timeout, so that a worker which does not stop in time is noticed as a fault."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The stack's ports on loopback; 0 takes a free port."""

    aws: int = 0
    endpoint: int = 0
    reader: int = 0
    http: int = 0
    """Port of health, metrics and console."""


class Stack:
    """Everything that a receipt passes through, on this machine, as an async context manager.

    `workers` is the number of worker processes. `data` is a directory that keeps state between runs. `container_url`
    is the address of another reader to use. `variables` are `RECEIPTS_*` settings for the workers. `tell` is called
    with each part that is ready. Several stacks can run side by side.

    Raises `ReceiptsError` if a part does not start, and `SettingsError` if a port or a directory cannot be used. A
    part that ends later is put into `deaths`.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        data: Path | None = None,
        ports: Ports | None = None,
        reader_processes: int | None = None,
        container_url: str | None = None,
        variables: Mapping[str, str] | None = None,
        specs: ResourceSpecs | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.specs = specs or ResourceSpecs()
        self.workers: list[Child] = []
        self.environment: dict[str, str] = {}
        """The variables with which a process uses this stack."""
        self.clients: Clients
        self.resources: Provisioned
        self.front: Front
        self.http_port = 0
        self.enqueued_again = 0
        """Number of uploads that an earlier, killed run left without a record."""
        self._data_lock: DataLock | None = None
        self._emulator: Child | None = None
        self._count = workers
        self._data = data
        self._ports = ports or Ports()
        self._reader_processes = reader_processes
        self._container_url = container_url
        self._variables = dict(variables or {})
        self._tell = tell
        name = f"{local_stack.PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._family = Family(local_stack.runtime_directory() / name)
        self._started_workers = 0
        self._at_port: Child | None = None
        """The process that listens at `http_port`: a worker, or a separate console if `workers` may be 0."""
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the workers first, so that their dependencies outlive them."""
        await asyncio.gather(*(self.stop_worker(worker) for worker in self.workers.copy()))
        await self._exits.aclose()

    @property
    def deaths(self) -> "asyncio.Queue[Death]":
        """Children that ended unexpectedly."""
        return self._family.deaths

    def publish(self) -> None:
        """Publish the environment, so that the user's other processes can join this stack."""
        local_stack.publish(self._family.directory, self.environment, started_at=time.time(), http_port=self.http_port)

    async def add_worker(self) -> Child:
        """Start another worker process, exactly as on AWS, and return it."""
        self._started_workers += 1
        has_port = self._at_port is None or not self._at_port.alive
        child = await self._serve(f"worker-{self._started_workers}", "worker", at_port=has_port)
        self.workers.append(child)
        self._count_workers()
        return child

    async def _serve(self, name: str, verb: str, *, at_port: bool) -> Child:
        child = await self._family.start(
            name,
            *("-m", "worker", verb),
            environment={
                **_base(),
                "RECEIPTS_CONSOLE": str(at_port).lower(),
                **self._variables,
                # Only one process can have the port, whatever the user's settings say.
                "RECEIPTS_HTTP_PORT": str(self.http_port) if at_port else "0",
                COUNT_FILE: str(self._count_file),
                **self.environment,
            },
            patience_s=WORKER_STOP_S,
        )
        if at_port:
            self._at_port = child
        return child

    @property
    def _count_file(self) -> Path:
        return self._family.directory / "workers"

    def _count_workers(self) -> None:
        with contextlib.suppress(OSError):  # the directory is removed when everything is killed
            self._count_file.write_text(f"{len(self.workers)}\n")

    async def stop_worker(self, child: Child) -> int:
        """Let a worker finish what is in flight and end; return its exit code."""
        self.workers.remove(child)
        self._count_workers()
        return await self._family.stop(child)

    async def kill_worker(self, child: Child) -> None:
        """Kill a worker at once, like the loss of its machine."""
        self.workers.remove(child)
        self._count_workers()
        child.stopping = True
        child.process.kill()
        await child.process.wait()

    def abandon(self) -> None:
        """Kill every process at once, so that a shutdown in progress no longer waits."""
        self._family.kill()

    async def _start(self) -> None:
        if self._data:
            self._data_lock = self._exits.enter_context(locked(self._data, saved=self._saved))
        await self._exits.enter_async_context(self._family)
        reader_url = self._container_url or f"http://{HOST}:{free_port(self._ports.reader)}"
        self.http_port = free_port(self._ports.http or int(self._variables.get("RECEIPTS_HTTP_PORT") or 0))
        self.front = await self._exits.enter_async_context(
            Front(
                endpoint=environment.ENDPOINT,
                container_url=reader_url,
                account=environment.ACCOUNT,
                region=environment.REGION,
                port=self._ports.endpoint,
            )
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_aws(), name="start AWS")
                if not self._container_url:
                    group.create_task(self._start_reader(reader_url), name="start the reader")
        except* ReceiptsError as errors:
            raise errors.exceptions[0] from None

    def _saved(self) -> bool:
        """Return whether the emulator ended normally, and thus saved everything."""
        return self._emulator is not None and self._emulator.process.returncode == 0

    async def _start_aws(self) -> None:
        """Start the emulator, create the resources, and start the workers while the reader still loads."""
        listener = emulator.listen(self._ports.aws)
        aws = environment.aws(emulator_url=emulator.url(listener), runtime_url=self.front.url)
        self._emulator = await emulator.start(
            self._family,
            listener,
            base=_base(),
            scratch=self._family.directory,
            data=self._data,
            lock=self._data_lock.descriptor if self._data_lock else None,
        )
        self._tell("AWS emulator")
        self.clients = await self._exits.enter_async_context(clients(aws))
        self.resources = await provision.make(
            self.clients, self.specs, account=environment.ACCOUNT, region=environment.REGION
        )
        if self._data_lock and self._data_lock.left_behind:
            self.enqueued_again = await recovery.enqueue_unrecorded(self.clients, self.resources)
        self._tell("bucket, queues and table")
        self.environment = {
            **aws,
            "RECEIPTS_QUEUE_URL": self.resources.queue_url,
            "RECEIPTS_TABLE": self.resources.table,
            "RECEIPTS_BUCKET": self.resources.bucket,
            "RECEIPTS_ENDPOINT": environment.ENDPOINT,
        }
        if not self._count:
            await self._serve("console", "console", at_port=True)
        for _ in range(self._count):
            await self.add_worker()

    async def _start_reader(self, url: str) -> None:
        """Start the reader and wait until it answers its health check."""
        processes = ("--processes", str(self._reader_processes)) if self._reader_processes else ()
        port = url.rpartition(":")[2]
        child = await self._family.start(
            "reader",
            *("-m", "worker.reader", "--host", HOST, "--port", port, *processes),
            environment=_base(),
            patience_s=READER_STOP_S,
        )
        deadline = time.monotonic() + READER_START_S
        async with aiohttp.ClientSession() as session:
            while not await _pings(session, url):
                if not child.alive or time.monotonic() > deadline:
                    raise ReceiptsError(f"The reader did not start:\n{child.tail()}")
                await asyncio.sleep(READER_LOOK_S)
        self._tell("reader")


def _base() -> dict[str, str]:
    """Return this process's environment without the variables that configure AWS or a worker."""
    return local_stack.isolated(os.environ, also=("RECEIPTS_",))


async def _pings(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/ping") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def free_port(port: int) -> int:
    """Return `port`, or any free port for 0. Raises `SettingsError` if it is in use on loopback."""
    with emulator.listen(port) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class DataLock:
    """A data directory that this process holds."""

    descriptor: int
    """The file descriptor of the lock. A process that inherits it holds the directory, too."""
    left_behind: bool
    """Whether the previous run was killed."""


@contextlib.contextmanager
def locked(directory: Path, *, saved: Callable[[], bool]) -> Iterator[DataLock]:
    """Create `directory` and lock it for this process. At the end, `saved` returns whether all state was saved.

    Raises `SettingsError` if another stack holds it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "lock").open("a+")
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be used for data: {error.strerror}. Choose another with --data DIR."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(
                f"{directory} is in use by another `receipts local`. Stop it, or choose another with --data DIR."
            ) from None
        file.seek(0)
        lock = DataLock(file.fileno(), left_behind=bool(file.read()))
        file.truncate(0)
        file.write("in use\n")
        file.flush()
        yield lock
        if saved():
            file.truncate(0)
