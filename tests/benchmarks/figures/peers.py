"""Other consumers of SQS, side by side with the worker: the same queue, and a handler that makes the same calls.

Speed and CPU are measured in turn, as often as there are runs. The other three are counts and come from one run each:

- barrier: a hundred messages of 20 ms of which each tenth takes two seconds, ten at a time. Who waits for the slowest
  of a batch needs ten times two seconds.
- stranded: SIGTERM while messages of two seconds are worked on. What is then neither done nor visible again waits for
  its visibility to end.
- lost: each tenth message fails once. What is deleted from the queue and was never stored is lost.

Each consumer runs with the settings that it comes with, but for the number of messages at a time.
"""

import subprocess
import time
from collections import defaultdict
from dataclasses import asdict, dataclass

from rich.table import Table

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import Contender, worker
from tests.benchmarks.peers.install import peers
from tests.benchmarks.processes import BenchError
from tests.benchmarks.sampling import Sample, sample
from tests.benchmarks.serving import LoadServer, passing

SLOTS = 32
SERVICE_S = 0.1
FEW = 10
"""Messages at a time where it is about counts."""
STOP_S = 30
"""Time that a platform gives between SIGTERM and SIGKILL."""
VISIBILITY_S = 4
"""Visibility of the queue where messages fail, so that they come back soon."""


@dataclass(frozen=True)
class Manners:
    """How a consumer treats its messages."""

    barrier_s: float
    stranded: int
    lost: int


def measure(bench: Bench) -> Result:
    """Measure the worker and every peer that can be installed."""
    bench.tell("peers: installing")
    found = list(peers())
    ours = worker(backoff_base_s=1)
    contenders = [ours, *(peer for peer in found if isinstance(peer, Contender))]
    left_out = [why for why in found if isinstance(why, str)]
    samples: dict[str, list[Sample]] = defaultdict(list)
    manners: dict[str, Manners] = {}
    for run in range(bench.runs):
        for contender in list(contenders):
            name = contender.name
            try:
                bench.tell(f"peers: {name}, run {run + 1}")
                samples[name].append(_sample(contender, bench))
                if not run:
                    bench.tell(f"peers: {name}, its manners")
                    manners[name] = _manners(contender, bench)
            except (BenchError, OSError, subprocess.SubprocessError) as error:
                if contender is ours:
                    raise
                contenders.remove(contender)
                left_out.append(f"{name} does not run here: {error}")
    result = Result()
    table = Table(title=f"Consumers of SQS, {SLOTS} messages at a time on one core, the same calls for each")
    table.add_column("")
    for name in ("messages/s", "CPU ms", "barrier s", "stranded", "lost"):
        table.add_column(name, justify="right")
    for contender in contenders:
        name = contender.name
        per_s = result.add("peers", name, "per_s", of=[run.per_s for run in samples[name]], digits=1)
        cpu_ms = result.add("peers", name, "cpu_ms", of=[run.cpu_ms for run in samples[name]])
        seen = manners[name]
        result.medians["peers"][name] |= asdict(seen) | {"calls": samples[name][-1].calls}
        cells = (
            f"{per_s.median:.0f} ({per_s.low:.0f}-{per_s.high:.0f})",
            f"{cpu_ms.median:.1f} ({cpu_ms.low:.1f}-{cpu_ms.high:.1f})",
        )
        table.add_row(name, *cells, f"{seen.barrier_s:.1f}", str(seen.stranded), str(seen.lost))
    result.medians["peers_left_out"] = left_out
    table.caption = "\n".join(left_out)
    result.tables.append(table)
    return result


def _sample(contender: Contender, bench: Bench) -> Sample:
    return sample(
        contender,
        picture=passing(bench.scratch),
        scratch=bench.scratch,
        count=bench.of(400, 150),
        slots=SLOTS,
        service_s=SERVICE_S,
    )


def _manners(contender: Contender, bench: Bench) -> Manners:
    return Manners(
        barrier_s=barrier(contender, bench), stranded=stranded(contender, bench), lost=lost(contender, bench)
    )


def barrier(contender: Contender, bench: Bench) -> float:
    """Return the seconds until all of a hundred messages are stored."""
    load = {"service_s": 0.02, "slow_every": 10, "slow_s": 2.0}
    with LoadServer(passing(bench.scratch), paused=True, **load) as server:
        contender.enqueue(server, 100)
        with contender.start(server, bench.scratch, slots=FEW) as process:
            server.polled(process)
            time.sleep(1)
            began = server.change(paused=False)["now"]
            done = server.until(lambda figures: bool(figures["stored"] == 100), what="the last record", of=process)
            return round(float(done["last_stored"] - began), 2)


def stranded(contender: Contender, bench: Bench) -> int:
    """Return how many of 60 messages are neither deleted nor visible after a stop."""
    with LoadServer(passing(bench.scratch), paused=True, service_s=2.0) as server:
        contender.enqueue(server, 60)
        with contender.start(server, bench.scratch, slots=FEW) as process:
            server.polled(process)
            server.change(paused=False)
            server.until(lambda figures: bool(figures["running"] >= FEW), what=f"{FEW} invocations", of=process)
            time.sleep(1)
            process.stop(within_s=STOP_S)
            return int(server.change()["in_flight"])


def lost(contender: Contender, bench: Bench) -> int:
    """Return how many of 50 messages are gone from the queue though nothing was stored for them."""
    load = {"nonsense_every": 10, "visibility_s": VISIBILITY_S}
    with LoadServer(passing(bench.scratch), paused=True, **load) as server:
        contender.enqueue(server, 50)
        with contender.start(server, bench.scratch, slots=FEW) as process:
            server.polled(process)
            server.change(paused=False)
            try:
                # Those that failed come again, as their consumer's retries or the queue's visibility will have it.
                server.until(lambda figures: bool(figures["stored"] == 50), what="the last", of=process, within_s=30)
            except BenchError:
                process.check()
            time.sleep(1)  # the last ones are being deleted
            figures = server.change()
            return int(50 - figures["stored"] - figures["visible"] - figures["in_flight"])
