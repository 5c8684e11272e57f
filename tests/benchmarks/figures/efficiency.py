"""Efficiency: receipts per second ÷ (slots ÷ service time).

By Little's law this equals the mean number of running invocations ÷ slots, which the load server counts without
rounding to whole receipts. A slot is one invocation at a time. The worker holds more messages than slots, so that the
next picture is ready when a slot becomes free.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import ahead, worker
from tests.benchmarks.serving import LoadServer, passing
from tests.benchmarks.spread import Goal

SLOTS = (8, 32, 128)
SERVICE_S = (0.05, 0.5, 2.0)
GOALS = {(8, 0.5): 0.98, (8, 2.0): 0.98, (32, 0.5): 0.98, (32, 2.0): 0.98, (128, 2.0): 0.95}
SIGMA = 0.5
"""Sigma of the lognormal service times: the slowest of a hundred takes three times the median."""


@dataclass(frozen=True)
class Case:
    """One combination of slots and service times."""

    slots: int
    service_s: float
    kind: Literal["constant", "lognormal", "without_spare"]
    """Constant times, lognormal times, or constant times without messages beyond the running invocations."""

    @property
    def path(self) -> tuple[str, str, str]:
        """The path of the case in the JSON."""
        name = "efficiency" if self.kind == "constant" else f"efficiency_{self.kind}"
        return name, str(self.slots), f"{self.service_s:g}"

    @property
    def goal(self) -> Goal | None:
        """The goal of the case, if it has one."""
        least = None if self.kind == "without_spare" else GOALS.get((self.slots, self.service_s))
        return Goal(">=", least) if least else None

    def __str__(self) -> str:
        return f"{self.slots} × {self.service_s:g} s, {self.kind.replace('_', ' ')}"


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases to measure."""
    if quick:
        yield from (Case(slots, service_s, "constant") for slots in SLOTS[:2] for service_s in SERVICE_S)
        return
    yield from (Case(*both, "constant") for both in product(SLOTS, SERVICE_S))
    yield from (Case(*both, "lognormal") for both in product(SLOTS, SERVICE_S))
    yield from (Case(32, service_s, "without_spare") for service_s in SERVICE_S[1:])


def measure(bench: Bench) -> Result:
    """Measure every case with a new worker, in one window per run."""
    result = Result()
    for case in cases(quick=bench.quick):
        bench.tell(f"efficiency: {case}")
        result.add(*case.path, of=_windows(case, bench), what=f"efficiency, {case}", digits=3, goal=case.goal)
    return result


def _windows(case: Case, bench: Bench) -> list[float]:
    window_s = max(2.0, 2 * case.service_s)
    sigma = SIGMA if case.kind == "lognormal" else 0.0
    spare = 0 if case.kind == "without_spare" else ahead(case.slots)
    with (
        LoadServer(passing(bench.scratch), endless=True, service_s=case.service_s, sigma=sigma) as server,
        worker(max_in_flight=case.slots + spare).start(server, bench.scratch, slots=case.slots) as process,
    ):
        server.until(lambda figures: bool(figures["running"] > 0), what="the first invocation", of=process)
        time.sleep(window_s)
        marks = [server.change()]
        for _ in range(bench.runs):
            time.sleep(window_s)
            marks.append(server.change())
    return [(b["served_s"] - a["served_s"]) / (b["now"] - a["now"]) / case.slots for a, b in pairwise(marks)]
