"""Start: from exec to the first receive."""

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import worker
from tests.benchmarks.serving import LoadServer, passing
from tests.benchmarks.spread import Goal

SLOTS = 32


def measure(bench: Bench) -> Result:
    """Start the worker once per run."""
    seconds, cpu_ms, rss_mib = [], [], []
    for run in range(bench.runs):
        bench.tell(f"start: run {run + 1}")
        with (
            LoadServer(passing(bench.scratch)) as server,
            worker().start(server, bench.scratch, slots=SLOTS) as process,
        ):
            seconds.append(server.polled(process)["first_receive"] - process.started)
            cpu_ms.append(1_000 * process.cpu_s())
            rss_mib.append(process.memory_mib("VmRSS"))
    result = Result()
    result.add("start_s", of=seconds, what="start to first receive", unit="s", goal=Goal("<=", 1.5))
    result.add("start_cpu_ms", of=cpu_ms, what="CPU of the start", unit="ms", digits=0)
    result.add("start_rss_mib", of=rss_mib, what="memory after the start", unit="MiB", digits=1)
    return result
