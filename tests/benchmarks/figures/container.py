"""The worker's image with the limits of the smallest Fargate task: 0.25 CPU and 512 MiB. Needs `make images`."""

import datetime as dt
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import worker
from tests.benchmarks.processes import SUBJECT_CORE, BenchError, NotAvailable, Process, place, running, tree_cpu_s
from tests.benchmarks.sampling import until_stored
from tests.benchmarks.serving import LoadServer, passing, photo
from tests.benchmarks.spread import Goal

IMAGE = os.environ.get("WORKER_IMAGE", "receipts-worker")
CPUS = "0.25"
MEMORY = "512m"
SLOTS = 32
SERVICE_S = 0.5
# docker/smoke.py hardens the worker's image in the same way; /tmp is private to the container.
OPTIONS = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "host", "--pull", "never")


@dataclass(frozen=True)
class Container:
    """A container, run in the foreground by `process`."""

    process: Process
    state: dict[str, Any]

    @property
    def started(self) -> float:
        """Time of its start, by the system's monotonic clock."""
        at = dt.datetime.fromisoformat(self.state["StartedAt"]).timestamp()
        return time.monotonic() - (time.time() - at)

    def memory_mib(self, name: str) -> float:
        """Return a value of /proc/PID/status of the worker in the container, in MiB."""
        status = Path(f"/proc/{self.state['Pid']}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{name}:"))


def measure(bench: Bench) -> Result:
    """Start containers for every run, and measure passing pictures, then photos."""
    podman = shutil.which("podman")
    if podman is None:
        raise NotAvailable("podman is not installed")
    if subprocess.run([podman, "image", "exists", IMAGE], check=False).returncode:
        raise NotAvailable(f"the image {IMAGE} does not exist: run `make images`")
    starts, receipts, shares, photos, peaks = [], [], [], [], []
    for run in range(bench.runs):
        bench.tell(f"container: receipts, run {run + 1}")
        with contained(podman, passing(bench.scratch), bench) as (server, container):
            starts.append(server.polled(container.process)["first_receive"] - container.started)
            per_s, share = _rate(server, container, warm=4 * SLOTS, count=bench.of(400, 100))
            receipts.append(per_s)
            shares.append(share)
        bench.tell(f"container: photos, run {run + 1}")
        with contained(podman, photo(bench.scratch), bench) as (server, container):
            server.polled(container.process)
            photos.append(_rate(server, container, warm=8, count=bench.of(40, 10))[0])
            peaks.append(container.memory_mib("VmHWM"))
    result = Result()
    where = f"at {CPUS} CPU, {MEMORY}"
    result.add("container", "start_s", of=starts, what=f"first receive {where}", unit="s", digits=1, goal=Goal("<=", 5))
    result.add("container", "per_s", of=receipts, what=f"receipts {where}", unit="/s", digits=1, goal=Goal(">=", 22))
    result.add("container", "photos_per_s", of=photos, what=f"photos {where}", unit="/s", digits=1, goal=Goal(">=", 2))
    result.add("container", "peak_rss_mib", of=peaks, what=f"peak memory {where}", unit="MiB", digits=0)
    result.add("container", "cpu_share", of=shares, what=f"CPU used {where}", digits=3)
    return result


@contextmanager
def contained(podman: str, picture: Path, bench: Bench) -> Iterator[tuple[LoadServer, Container]]:
    """Run the image with its own load server; end both with the block."""
    with (
        LoadServer(picture, paused=True, service_s=SERVICE_S) as server,
        _running(podman, server, bench.scratch) as container,
    ):
        yield server, container


@contextmanager
def _running(podman: str, server: LoadServer, scratch: Path) -> Iterator[Container]:
    name = f"receipts-bench-{os.getpid()}"
    variables = worker().variables(server, slots=SLOTS)
    given = [f"--env={key}={value}" for key, value in variables.items() if key.startswith(("AWS_", "RECEIPTS_"))]
    limits = (f"--cpus={CPUS}", f"--memory={MEMORY}", f"--memory-swap={MEMORY}")
    command = [podman, "run", "--name", name, *limits, *OPTIONS, *given, IMAGE]
    try:
        with running(command, environment=os.environ, log=scratch / "container.log") as process:
            deadline = time.monotonic() + 60
            while not (state := _state(podman, name)).get("Running"):
                process.check()
                if time.monotonic() > deadline:
                    raise BenchError(f"the container has not started: {process.last_words()}")
                time.sleep(0.05)
            place(state["Pid"], SUBJECT_CORE)
            yield Container(process, state)
    finally:
        subprocess.run([podman, "rm", "--force", "--ignore", name], check=False, capture_output=True)


def _state(podman: str, name: str) -> dict[str, Any]:
    found = subprocess.run([podman, "inspect", name], check=False, capture_output=True)
    if found.returncode:
        return {}
    state: dict[str, Any] = json.loads(found.stdout)[0]["State"]
    return state


def _rate(server: LoadServer, container: Container, *, warm: int, count: int) -> tuple[float, float]:
    """Return records per second and the used share of a CPU, over `count` records after the first `warm`."""
    server.change(add=warm + count + SLOTS, paused=False)
    marks = []
    for wanted in (warm, warm + count):
        figures = until_stored(server, container.process, wanted)
        marks.append((figures["stored"], figures["now"], tree_cpu_s(container.state["Pid"])))
    (stored, at, used), (stored_then, then, used_then) = marks
    return (stored_then - stored) / (then - at), (used_then - used) / (then - at)
