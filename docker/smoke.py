"""The smoke test of the images, `make smoke`: the worker runs at the smallest Fargate size against the embedded stack.

It uploads the samples and reads their records. The first worker gets SIGTERM while it works, a second one finishes the
work, and a third is stopped while it starts. The reader runs from its image, too, started as SageMaker starts it. The
measurements are printed as a table; the exit code is 1 if one is not as expected.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
from rich.console import Console
from rich.table import Table

from worker.aws import uploads
from worker.results.polling import wait_for
from worker.workbench.local.samples import sample_files
from worker.workbench.local.stack import Stack, free_port

if TYPE_CHECKING:
    from worker.receipts.record import Record

CPUS: Final = "0.25"
MEMORY: Final = "512m"
SIZE_LIMIT_MB: Final = 200
START_LIMIT_S: Final = 120.0
READ_LIMIT_S: Final = 300.0
STOP_TIMEOUT_S: Final = 30
"""The default of ECS and of the worker's RECEIPTS_STOP_TIMEOUT_S."""
HARDENED: Final = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108 - a tmpfs inside the container, not a shared /tmp of this machine
LOOK_S: Final = 0.02


class SmokeError(Exception):
    """The smoke test cannot continue; the message says why."""


@dataclass
class Measurements:
    """The measurements, for a table at the end."""

    rows: list[tuple[str, str, str, bool | None]] = field(default_factory=list)

    def add(self, what: str, measured: object, expected: str = "", *, ok: bool | None = None) -> None:
        """Add a measurement; `ok` says whether it is as expected, None if nothing was expected."""
        self.rows.append((what, str(measured), expected, ok))

    @property
    def ok(self) -> bool:
        """Whether all measurements are as expected."""
        return all(ok is not False for *_, ok in self.rows)

    def table(self) -> Table:
        """Return all measurements as a table."""
        table = Table(title=f"Worker image at {CPUS} CPU and {MEMORY}", title_justify="left", box=None, pad_edge=False)
        for name in ("what", "measured", "expected", ""):
            table.add_column(name, justify="right" if name == "measured" else "left", overflow="fold")
        signs = {True: "[green]ok[/]", False: "[red]NOT OK[/]", None: ""}
        for what, measured, expected, ok in self.rows:
            table.add_row(what, measured, expected, signs[ok])
        return table


class Engine:
    """The container engine: podman, or docker with the same arguments."""

    def __init__(self, command: str) -> None:
        self._command = command

    async def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run one command and return its output. Raises `SmokeError` if it fails and `check` is set."""
        process = await asyncio.create_subprocess_exec(
            *(self._command, *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        if check and process.returncode:
            raise SmokeError(f"{self._command} {arguments[0]} failed: {err.decode().strip()}")
        return out.decode().strip()

    async def size_mb(self, image: str) -> float:
        """Return an image's size in MB. Raises `SmokeError` if the image does not exist."""
        found = await self("images", "--quiet", image)
        if not found:
            raise SmokeError(f"The image {image} does not exist. Run `make images`.")
        return float((await self.inspect(found.split()[0]))["Size"]) / 1e6

    async def inspect(self, name: str) -> dict[str, Any]:
        """Return the engine's description of a container or an image."""
        found: list[dict[str, Any]] = json.loads(await self("inspect", name))
        return found[0]


class Container:
    """One container on the host's network, as an async context manager that removes it at the end."""

    def __init__(self, engine: Engine, image: str, *options: str, command: tuple[str, ...] = ()) -> None:
        self._engine = engine
        self._name = f"receipts-smoke-{os.getpid()}-{image.rpartition('/')[2].replace(':', '-')}-{time.monotonic_ns()}"
        self._start = ("--name", self._name, "--network", "host", *HARDENED, *options, image, *command)
        self.started_at = 0.0
        """Seconds since 1970."""

    async def __aenter__(self) -> Self:
        try:
            await self._engine("run", "--detach", "--pull", "never", *self._start)
            state = (await self._engine.inspect(self._name))["State"]
        except BaseException:
            await self.__aexit__()
            raise
        self.started_at = datetime.fromisoformat(state["StartedAt"]).timestamp()
        self._process_id = state["Pid"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine("rm", "--force", self._name, check=False)

    async def runs(self, *command: str) -> bool:
        """Run `command` inside; return whether it exited with 0."""
        try:
            await self._engine("exec", self._name, *command)
        except SmokeError:
            return False
        return True

    async def logs(self) -> str:
        """Return the last lines of its log."""
        return await self._engine("logs", "--tail", "20", self._name, check=False)

    async def alive(self) -> bool:
        """Return whether it runs."""
        return bool((await self._engine.inspect(self._name))["State"]["Running"])

    def memory_mib(self) -> dict[str, float]:
        """Return the process's memory in MiB, by name in /proc/PID/status; empty if /proc does not show it."""
        return {name: int(text.split()[0]) / 1024 for name, text in self._status().items() if name.startswith("Vm")}

    def handles_sigterm(self) -> bool:
        """Return whether the process has a handler for SIGTERM; True if /proc does not show it."""
        caught = int(self._status().get("SigCgt", "f" * 16), 16)
        return bool(caught & 1 << signal.SIGTERM - 1)

    def _status(self) -> dict[str, str]:
        try:
            text = Path(f"/proc/{self._process_id}/status").read_text()
        except OSError:
            return {}
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    async def stop(self) -> tuple[int, float]:
        """Send SIGTERM, and SIGKILL after the stop timeout; return the exit code and the seconds until the end."""
        began = time.monotonic()
        await self._engine("stop", "--time", str(STOP_TIMEOUT_S), self._name)
        took_s = time.monotonic() - began
        return int((await self._engine.inspect(self._name))["State"]["ExitCode"]), took_s


class Smoke:
    """One run of the smoke test."""

    def __init__(self, engine: Engine, stack: Stack, image: str, measured: Measurements) -> None:
        self._engine, self._stack, self._image, self._measured = engine, stack, image, measured

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Container]:
        """Yield a container of the worker image that uses the stack."""
        variables = {**self._stack.environment, "RECEIPTS_HTTP_PORT": str(free_port(0))}
        options = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        limits = ("--cpus", CPUS, "--memory", MEMORY, "--memory-swap", MEMORY)
        async with Container(self._engine, self._image, *limits, *options) as container:
            try:
                yield container
            except TimeoutError:
                raise SmokeError(f"Timed out. The end of the worker's log:\n{await container.logs()}") from None

    async def run(self) -> None:
        """Upload, watch, stop, continue, and check that the queues are empty."""
        sent = [await self._upload(path) for path in sample_files()]
        started = time.monotonic()
        waiting = wait_for(self._stack.clients.dynamodb, self._stack.resources.table, sent)
        records: list[Record] = []
        async with self.worker() as first:
            await self._watch_start(first)
            async with asyncio.timeout(READ_LIMIT_S):
                while len(records) < len(sent) // 3:
                    records.append((await anext(waiting))[1])
            await self._stop(first, "first worker, stopped while it works")
        async with self.worker() as second:
            async with asyncio.timeout(READ_LIMIT_S):
                async for _, record in waiting:
                    records.append(record)
            took_s = time.monotonic() - started
            self._measured.add("rows of uploads", f"{len(records)} of {len(sent)}", "all", ok=len(records) == len(sent))
            read = sum(record.status in ("extracted", "needs_review") for record in records)
            self._measured.add("  of them read", read, "all", ok=read == len(records))
            self._measured.add("  from the first start to the last row", f"{took_s:.0f} s")
            await self._settled()
            async with asyncio.timeout(START_LIMIT_S):
                while not await second.runs("receipts", "health"):
                    await asyncio.sleep(LOOK_S)
            await self._stop(second, "second worker, stopped while it waits")
        async with self.worker() as third:
            async with asyncio.timeout(START_LIMIT_S):
                while not third.handles_sigterm():
                    await asyncio.sleep(LOOK_S)
            await self._stop(third, "third worker, stopped while it starts")

    async def _upload(self, path: Path) -> uploads.Uploaded:
        resources = self._stack.resources
        return await uploads.put(self._stack.clients.s3, path, bucket=resources.bucket, key=f"smoke/{path.name}")

    async def _watch_start(self, worker: Container) -> None:
        """Measure the time to the first receive, as the queue shows it, and run the health check."""
        async with asyncio.timeout(START_LIMIT_S):
            while not (await self._messages())["ApproximateNumberOfMessagesNotVisible"]:
                if not await worker.alive():
                    raise SmokeError(f"The worker did not start:\n{await worker.logs()}")
                await asyncio.sleep(LOOK_S)
        self._measured.add("from start to first receive", f"{time.time() - worker.started_at:.1f} s")
        healthy = await worker.runs("receipts", "health")
        self._measured.add("health check", "passes" if healthy else "fails", "passes", ok=healthy)
        written = await worker.runs("python", "-c", "open('/opt/receipts/x', 'w')")
        self._measured.add("root file system", "writable" if written else "read-only", "read-only", ok=not written)

    async def _stop(self, worker: Container, which: str) -> None:
        memory = worker.memory_mib()
        code, took_s = await worker.stop()
        self._measured.add(which, f"exit {code}", "exit 0", ok=code == 0)
        self._measured.add("  after SIGTERM", f"{took_s:.1f} s", f"< {STOP_TIMEOUT_S} s", ok=took_s < STOP_TIMEOUT_S)
        if peak := memory.get("VmHWM"):
            self._measured.add("  peak RSS", f"{peak:.0f} MiB", f"< {MEMORY}", ok=True)

    async def _settled(self) -> None:
        """Check that the queues become empty."""
        async with asyncio.timeout(START_LIMIT_S):
            while sum((await self._messages()).values()):
                await asyncio.sleep(LOOK_S)
        self._measured.add("messages left in the queue", 0, "0", ok=True)
        dead = sum((await self._messages(self._stack.resources.dead_letter_url)).values())
        self._measured.add("messages in the dead-letter queue", dead, "0", ok=dead == 0)

    async def _messages(self, url: str | None = None) -> dict[str, int]:
        answer = await self._stack.clients.sqs.get_queue_attributes(
            QueueUrl=url or self._stack.resources.queue_url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return {name: int(value) for name, value in answer["Attributes"].items()}


async def reader(engine: Engine, image: str, exits: AsyncExitStack, measured: Measurements) -> str:
    """Start the reader image with `serve`; return its address when it answers its health check."""
    port = free_port(0)
    began = time.monotonic()
    container = await exits.enter_async_context(
        Container(engine, image, "--env", f"SAGEMAKER_BIND_TO_PORT={port}", command=("serve",))
    )
    address = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        while not await _pings(session, address):
            if time.monotonic() - began > START_LIMIT_S or not await container.alive():
                raise SmokeError(f"The reader did not start:\n{await container.logs()}")
            await asyncio.sleep(0.1)
    measured.add("reader image, from start to ready", f"{time.monotonic() - began:.1f} s")
    return address


async def _pings(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address}/ping") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def smoke(engine: Engine, *, worker_image: str, reader_image: str | None, measured: Measurements) -> None:
    """Run everything. If `reader_image` is None, the reader of this checkout is used."""
    size_mb = await engine.size_mb(worker_image)
    measured.add("size of the worker image", f"{size_mb:.0f} MB", f"< {SIZE_LIMIT_MB} MB", ok=size_mb < SIZE_LIMIT_MB)
    async with AsyncExitStack() as exits:
        url = await reader(engine, reader_image, exits, measured) if reader_image else None
        stack = await exits.enter_async_context(Stack(workers=0, container_url=url))
        await Smoke(engine, stack, worker_image, measured).run()


def main() -> int:
    """Run the smoke test and print its measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="podman", help="podman or docker")
    parser.add_argument("--worker", default="receipts-worker", metavar="IMAGE")
    parser.add_argument(
        "--reader", "--model", default="receipts-reader", metavar="IMAGE", help="empty: the reader of this checkout"
    )
    given = parser.parse_args()
    measured = Measurements()
    try:
        asyncio.run(
            smoke(Engine(given.engine), worker_image=given.worker, reader_image=given.reader or None, measured=measured)
        )
    except SmokeError as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    finally:
        Console(width=100).print(measured.table())
    return 0 if measured.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
