"""Memory: 32 photos of 12 megapixels in flight at once."""

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import worker
from tests.benchmarks.serving import LoadServer, photo
from tests.benchmarks.spread import Goal

IN_FLIGHT = 32
LIMIT_MIB = 400


def measure(bench: Bench) -> Result:
    """Hold the answers until all photos are in flight, then process as many again."""
    peaks, held = [], []
    for run in range(bench.of(bench.runs, 1)):
        bench.tell(f"memory: run {run + 1}")
        with (
            LoadServer(photo(bench.scratch), hold=True, messages=2 * IN_FLIGHT) as server,
            worker().start(server, bench.scratch, slots=IN_FLIGHT) as process,
        ):
            server.until(lambda figures: bool(figures["running"] == IN_FLIGHT), what="the last invocation", of=process)
            held.append(process.memory_mib("VmRSS"))
            server.change(hold=False)
            server.until(lambda figures: bool(figures["stored"] == 2 * IN_FLIGHT), what="the last record", of=process)
            peaks.append(process.memory_mib("VmHWM"))
    result = Result()
    result.add("photos_in_flight_mib", of=held, what=f"memory, {IN_FLIGHT} photos in flight", unit="MiB", digits=0)
    result.add("peak_rss_mib", of=peaks, what="its peak", unit="MiB", digits=0, goal=Goal("<=", LIMIT_MIB))
    return result
