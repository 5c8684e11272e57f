"""Runs the worker image at the size of the smallest Fargate task against the embedded stack: `make smoke`.

Samples go into the bucket, rows are read from the table, SIGTERM comes in the middle of the work, a second worker ends
it, a third is stopped while it starts. The model runs from its image too, started as SageMaker starts it. What was seen
is printed as a table; exit 1 where something is not as it should be.
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
"""ECS' default; the worker's RECEIPTS_STOP_TIMEOUT_S has the same."""
# S108 warns of names in a directory that others share; this /tmp is the container's own and empty.
HARDENED: Final = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108 - the container's own
LOOK_S: Final = 0.02


class SmokeError(Exception):
    """The smoke test cannot go on; the message says why."""


@dataclass
class Sightings:
    """What was seen, for a table at the end."""

    rows: list[tuple[str, str, str, bool | None]] = field(default_factory=list)

    def see(self, what: str, seen: object, wanted: str = "", *, well: bool | None = None) -> None:
        """Keep what was seen; `well` says whether it is what was wanted, None where nothing was."""
        self.rows.append((what, str(seen), wanted, well))

    @property
    def well(self) -> bool:
        """Whether everything is as it should be."""
        return all(well is not False for *_, well in self.rows)

    def table(self) -> Table:
        """Return everything as a table."""
        table = Table(title=f"Worker image at {CPUS} CPU and {MEMORY}", title_justify="left", box=None, pad_edge=False)
        for name in ("what", "seen", "wanted", ""):
            table.add_column(name, justify="right" if name == "seen" else "left", overflow="fold")
        signs = {True: "[green]ok[/]", False: "[red]NOT OK[/]", None: ""}
        for what, seen, wanted, well in self.rows:
            table.add_row(what, seen, wanted, signs[well])
        return table


class Engine:
    """podman, or docker with the same arguments."""

    def __init__(self, command: str) -> None:
        self._command = command

    async def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run one command and return what it printed; raise `SmokeError` where it failed and `check` is set."""
        process = await asyncio.create_subprocess_exec(
            *(self._command, *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        if check and process.returncode:
            raise SmokeError(f"{self._command} {arguments[0]} failed: {err.decode().strip()}")
        return out.decode().strip()

    async def size_mb(self, image: str) -> float:
        """Return an image's size; raise `SmokeError` where there is no such image."""
        found = await self("images", "--quiet", image)
        if not found:
            raise SmokeError(f"There is no image {image}: run `make images`.")
        return float((await self.inspect(found.split()[0]))["Size"]) / 1e6

    async def inspect(self, name: str) -> dict[str, Any]:
        """Return what there is to know of a container or an image."""
        found: list[dict[str, Any]] = json.loads(await self("inspect", name))
        return found[0]


class Container:
    """One container on the host's network. Use it as an async context manager: it is gone afterwards."""

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
        """Run `command` inside; return whether it ended with 0."""
        try:
            await self._engine("exec", self._name, *command)
        except SmokeError:
            return False
        return True

    async def logs(self) -> str:
        """Return the last lines that it logged."""
        return await self._engine("logs", "--tail", "20", self._name, check=False)

    async def alive(self) -> bool:
        """Tell whether it runs."""
        return bool((await self._engine.inspect(self._name))["State"]["Running"])

    def memory_mib(self) -> dict[str, float]:
        """Return the process's memory in MiB, by its name in /proc/PID/status; empty where /proc shows none."""
        return {name: int(text.split()[0]) / 1024 for name, text in self._status().items() if name.startswith("Vm")}

    def heeds_sigterm(self) -> bool:
        """Tell whether the process has a handler for SIGTERM; True where /proc does not show it."""
        caught = int(self._status().get("SigCgt", "f" * 16), 16)
        return bool(caught & 1 << signal.SIGTERM - 1)

    def _status(self) -> dict[str, str]:
        try:
            text = Path(f"/proc/{self._process_id}/status").read_text()
        except OSError:
            return {}
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    async def stop(self) -> tuple[int, float]:
        """Send SIGTERM, and SIGKILL after the stop timeout; return the exit code and how many seconds it took."""
        began = time.monotonic()
        await self._engine("stop", "--time", str(STOP_TIMEOUT_S), self._name)
        took_s = time.monotonic() - began
        return int((await self._engine.inspect(self._name))["State"]["ExitCode"]), took_s


class Smoke:
    """One run."""

    def __init__(self, engine: Engine, stack: Stack, image: str, seen: Sightings) -> None:
        self._engine, self._stack, self._image, self._seen = engine, stack, image, seen

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Container]:
        """Run the worker image against the stack."""
        variables = {**self._stack.environment, "RECEIPTS_HTTP_PORT": str(free_port(0))}
        options = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        limits = ("--cpus", CPUS, "--memory", MEMORY, "--memory-swap", MEMORY)
        async with Container(self._engine, self._image, *limits, *options) as container:
            try:
                yield container
            except TimeoutError:
                raise SmokeError(f"It took too long. The worker's last words:\n{await container.logs()}") from None

    async def run(self) -> None:
        """Upload, watch, stop, go on, and look at what is left."""
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
            self._seen.see("rows of uploads", f"{len(records)} of {len(sent)}", "all", well=len(records) == len(sent))
            read = sum(record.status in ("extracted", "needs_review") for record in records)
            self._seen.see("  of them read", read, "all", well=read == len(records))
            self._seen.see("  from the first start to the last row", f"{took_s:.0f} s")
            await self._settled()
            async with asyncio.timeout(START_LIMIT_S):
                while not await second.runs("receipts", "health"):
                    await asyncio.sleep(LOOK_S)
            await self._stop(second, "second worker, stopped while it waits")
        async with self.worker() as third:
            async with asyncio.timeout(START_LIMIT_S):
                while not third.heeds_sigterm():
                    await asyncio.sleep(LOOK_S)
            await self._stop(third, "third worker, stopped while it starts")

    async def _upload(self, path: Path) -> uploads.Uploaded:
        resources = self._stack.resources
        return await uploads.put(self._stack.clients.s3, path, bucket=resources.bucket, key=f"smoke/{path.name}")

    async def _watch_start(self, worker: Container) -> None:
        """See the first receive, as the queue shows it, and the health check."""
        async with asyncio.timeout(START_LIMIT_S):
            while not (await self._messages())["ApproximateNumberOfMessagesNotVisible"]:
                if not await worker.alive():
                    raise SmokeError(f"The worker did not start:\n{await worker.logs()}")
                await asyncio.sleep(LOOK_S)
        self._seen.see("from start to first receive", f"{time.time() - worker.started_at:.1f} s")
        healthy = await worker.runs("receipts", "health")
        self._seen.see("health check", "passes" if healthy else "fails", "passes", well=healthy)
        written = await worker.runs("python", "-c", "open('/opt/receipts/x', 'w')")
        self._seen.see("root file system", "writable" if written else "read-only", "read-only", well=not written)

    async def _stop(self, worker: Container, which: str) -> None:
        memory = worker.memory_mib()
        code, took_s = await worker.stop()
        self._seen.see(which, f"exit {code}", "exit 0", well=code == 0)
        self._seen.see("  after SIGTERM", f"{took_s:.1f} s", f"< {STOP_TIMEOUT_S} s", well=took_s < STOP_TIMEOUT_S)
        if peak := memory.get("VmHWM"):
            self._seen.see("  peak RSS", f"{peak:.0f} MiB", f"< {MEMORY}", well=True)

    async def _settled(self) -> None:
        """See that the queues are empty, once acknowledgements are flushed."""
        async with asyncio.timeout(START_LIMIT_S):
            while sum((await self._messages()).values()):
                await asyncio.sleep(LOOK_S)
        self._seen.see("messages left in the queue", 0, "0", well=True)
        dead = sum((await self._messages(self._stack.resources.dead_letter_url)).values())
        self._seen.see("messages in the dead-letter queue", dead, "0", well=dead == 0)

    async def _messages(self, url: str | None = None) -> dict[str, int]:
        answer = await self._stack.clients.sqs.get_queue_attributes(
            QueueUrl=url or self._stack.resources.queue_url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return {name: int(value) for name, value in answer["Attributes"].items()}


async def model(engine: Engine, image: str, exits: AsyncExitStack, seen: Sightings) -> str:
    """Start the model image with `serve`; return its address when it says that it can work."""
    port = free_port(0)
    began = time.monotonic()
    container = await exits.enter_async_context(
        Container(engine, image, "--env", f"SAGEMAKER_BIND_TO_PORT={port}", command=("serve",))
    )
    address = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        while not await _pings(session, address):
            if time.monotonic() - began > START_LIMIT_S or not await container.alive():
                raise SmokeError(f"The model did not start:\n{await container.logs()}")
            await asyncio.sleep(0.1)
    seen.see("model image, from start to ready", f"{time.monotonic() - began:.1f} s")
    return address


async def _pings(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address}/ping") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def smoke(engine: Engine, *, worker_image: str, model_image: str | None, seen: Sightings) -> None:
    """Run everything; `model_image` None reads with the model of this checkout instead."""
    size_mb = await engine.size_mb(worker_image)
    seen.see("size of the worker image", f"{size_mb:.0f} MB", f"< {SIZE_LIMIT_MB} MB", well=size_mb < SIZE_LIMIT_MB)
    async with AsyncExitStack() as exits:
        url = await model(engine, model_image, exits, seen) if model_image else None
        stack = await exits.enter_async_context(Stack(workers=0, container_url=url))
        await Smoke(engine, stack, worker_image, seen).run()


def main() -> int:
    """Run the smoke test and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="podman", help="podman or docker")
    parser.add_argument("--worker", default="receipts-worker", metavar="IMAGE")
    parser.add_argument("--model", default="receipts-reader", metavar="IMAGE", help="empty: the model of this checkout")
    given = parser.parse_args()
    seen = Sightings()
    try:
        asyncio.run(smoke(Engine(given.engine), worker_image=given.worker, model_image=given.model or None, seen=seen))
    except SmokeError as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    finally:
        Console(width=100).print(seen.table())
    return 0 if seen.well else 1


if __name__ == "__main__":
    raise SystemExit(main())
