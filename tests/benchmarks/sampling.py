"""Throughput and CPU of one contender while it is busy, without its start and its end."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import SETTLE_S, Contender
from tests.benchmarks.processes import Process
from tests.benchmarks.serving import Figures, LoadServer


@dataclass(frozen=True)
class Sample:
    """Resources that one run used per receipt."""

    cpu_ms: float
    per_s: float
    calls: dict[str, float]
    """Number of AWS calls per receipt, by name."""
    server_ms: float
    """CPU time of the load server per receipt."""


@dataclass(frozen=True)
class Mark:
    """The figures at one time of a run."""

    figures: Figures
    cpu_s: float
    server_s: float

    @classmethod
    def of(cls, server: LoadServer, process: Process, *, stored: int) -> "Mark":
        """Wait until `stored` records are stored, and return the figures."""
        figures = until_stored(server, process, stored)
        return cls(figures, process.cpu_s(), server.cpu_s())

    def since(self, before: "Mark") -> Sample:
        """Return the resources used per receipt since `before`."""
        count = self.figures["stored"] - before.figures["stored"]
        calls: Counter[str] = Counter(self.figures["calls"])
        calls.subtract(before.figures["calls"])
        return Sample(
            cpu_ms=1_000 * (self.cpu_s - before.cpu_s) / count,
            per_s=count / (self.figures["now"] - before.figures["now"]),
            server_ms=1_000 * (self.server_s - before.server_s) / count,
            calls={name: round(number / count, 2) for name, number in calls.items() if number},
        )


def sample(
    contender: Contender,
    *,
    picture: Path,
    scratch: Path,
    count: int,
    slots: int,
    service_s: float,
    **load: Any,
) -> Sample:
    """Return the resources of `contender` per receipt over `count` receipts, `slots` at a time, after a warm-up."""
    warm = 3 * slots
    with LoadServer(picture, paused=True, service_s=service_s, **load) as server:
        contender.enqueue(server, warm + count + slots)
        with contender.start(server, scratch, slots=slots) as process:
            server.polled(process)
            time.sleep(SETTLE_S)
            server.change(paused=False)
            before = Mark.of(server, process, stored=warm)
            return Mark.of(server, process, stored=warm + count).since(before)


def until_stored(server: LoadServer, process: Process, wanted: int) -> Figures:
    """Wait until `wanted` records are stored; return the figures at that time."""
    what = f"record {wanted}"
    return server.until(lambda figures: bool(figures["stored"] >= wanted), what=what, of=process, within_s=300)
