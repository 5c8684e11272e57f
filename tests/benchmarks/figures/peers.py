"""Other SQS consumers compared with the worker, on the same queue and with a handler that makes the same calls.

Speed and CPU are measured in turn in every run. The other three are measured in one run each:

- barrier: seconds for a hundred messages of 20 ms, of which every tenth takes two seconds, ten at a time. A consumer
  that waits for the slowest message of each batch needs ten times two seconds.
- stranded: messages that are neither done nor visible after a SIGTERM while messages of two seconds are processed. They
  wait until their visibility timeout ends.
- lost: messages that were deleted from the queue without being stored, when every tenth message fails once.

Each consumer runs with its default settings, except for the number of messages at a time.
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
"""Messages at a time when messages are counted."""
STOP_S = 30
"""Time between SIGTERM and SIGKILL on usual platforms."""
VISIBILITY_S = 4
"""Visibility timeout while messages fail, so that they return soon."""


@dataclass(frozen=True)
class Handling:
    """The handling of messages by one consumer."""

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
    handling: dict[str, Handling] = {}
    for run in range(bench.runs):
        for contender in list(contenders):
            name = contender.name
            try:
                bench.tell(f"peers: {name}, run {run + 1}")
                samples[name].append(_sample(contender, bench))
                if not run:
                    bench.tell(f"peers: {name}, barrier, stranded and lost")
                    handling[name] = _handling(contender, bench)
            except (BenchError, OSError, subprocess.SubprocessError) as error:
                if contender is ours:
                    raise
                contenders.remove(contender)
                left_out.append(f"{name} does not run here: {error}")
    result = Result()
    table = Table(title=f"SQS consumers with the same calls, {SLOTS} messages at a time on one core")
    table.add_column("")
    for name in ("messages/s", "CPU ms", "barrier s", "stranded", "lost"):
        table.add_column(name, justify="right")
    for contender in contenders:
        name = contender.name
        per_s = result.add("peers", name, "per_s", of=[run.per_s for run in samples[name]], digits=1)
        cpu_ms = result.add("peers", name, "cpu_ms", of=[run.cpu_ms for run in samples[name]])
        seen = handling[name]
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


def _handling(contender: Contender, bench: Bench) -> Handling:
    return Handling(
        barrier_s=barrier(contender, bench), stranded=stranded(contender, bench), lost=lost(contender, bench)
    )


def barrier(contender: Contender, bench: Bench) -> float:
    """Return the seconds until all hundred messages are stored."""
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
    """Return the number of 60 messages that are neither deleted nor visible after a stop."""
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
    """Return the number of 50 messages that were deleted from the queue without a stored record."""
    load = {"nonsense_every": 10, "visibility_s": VISIBILITY_S}
    with LoadServer(passing(bench.scratch), paused=True, **load) as server:
        contender.enqueue(server, 50)
        with contender.start(server, bench.scratch, slots=FEW) as process:
            server.polled(process)
            server.change(paused=False)
            try:
                # Failed messages return through the consumer's retries or the queue's visibility timeout.
                server.until(lambda figures: bool(figures["stored"] == 50), what="the last", of=process, within_s=30)
            except BenchError:
                process.check()
            time.sleep(1)  # the consumer still deletes the last messages
            figures = server.change()
            return int(50 - figures["stored"] - figures["visible"] - figures["in_flight"])
