"""The measured programs: the worker, the bare calls and other SQS consumers. Each is a command and its environment."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import OTHER_CORES, Process, running
from tests.benchmarks.serving import Figures, LoadServer

ROOT = Path(__file__).parents[2]
SETTLE_S = 0.5
"""Time between the first receive of a process and the measurement, so that its start does not count."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A program that takes messages from the queue. `{slots}` in its command is the number of messages at a time."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    send: tuple[str, ...] = ()
    """The command that puts `{count}` messages in its own format on the queue. Empty: it takes S3 events."""
    directory: Path = ROOT

    def start(self, server: LoadServer, scratch: Path, *, slots: int, **more: str) -> AbstractContextManager[Process]:
        """Run the program against `server`."""
        return running(
            [part.format(slots=slots) for part in self.command],
            environment=self.variables(server, slots=slots) | more,
            log=scratch / f"{self.name}.log",
            directory=self.directory,
        )

    def enqueue(self, server: LoadServer, count: int) -> Figures:
        """Put `count` messages on the queue, in the format that the program expects."""
        if not self.send:
            return server.change(add=count)
        command = [part.format(count=count) for part in self.send]
        subprocess.run(
            ["taskset", "--cpu-list", ",".join(map(str, OTHER_CORES)), *command],
            env=self.variables(server, slots=1),
            cwd=self.directory,
            check=True,
            capture_output=True,
        )
        return server.until(lambda figures: figures["visible"] >= count, what=f"{count} messages of {self.name}")

    def variables(self, server: LoadServer, *, slots: int) -> dict[str, str]:
        """Return the environment of the program."""
        return (
            server.environment()
            | {"QUEUE_URL": server.queue_url, "PYTHONPATH": str(ROOT), "SLOTS": str(slots)}
            | {name: value.format(slots=slots, queue_url=server.queue_url) for name, value in self.environment.items()}
        )


def ahead(slots: int) -> int:
    """Return the number of messages that a worker holds beyond its running invocations.

    With these, the next picture is ready when a slot becomes free, and a result is stored while the slot is busy again.
    """
    return max(8, slots // 4)


def worker(**settings: Any) -> Contender:
    """Return the worker with `settings`."""
    variables = {f"RECEIPTS_{name.upper()}": str(value) for name, value in settings.items()}
    return Contender(
        name="worker",
        command=(str(Path(sys.executable).with_name("receipts")), "worker"),
        environment={
            "RECEIPTS_QUEUE_URL": "{queue_url}",
            "RECEIPTS_TABLE": "bench",
            "RECEIPTS_BUCKET": "bench",
            "RECEIPTS_ENDPOINT": "bench",
            "RECEIPTS_HTTP_PORT": "0",
            "RECEIPTS_MAX_IN_FLIGHT": "{slots}",
            "RECEIPTS_INVOCATIONS": "{slots}",
            **variables,
        },
    )


def bare(name: str, *, client: str, calls: str, loop: str = "uvloop") -> Contender:
    """Return a program that makes only the calls of a receipt."""
    options = ("--client", client, "--calls", calls, "--loop", loop, "--slots", "{slots}")
    return Contender(name=name, command=(sys.executable, "-m", "tests.benchmarks.bare", *options))
