"""Growth: memory over ten thousand receipts in a row."""

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import worker
from tests.benchmarks.sampling import Mark
from tests.benchmarks.serving import LoadServer, passing
from tests.benchmarks.spread import Goal

RECEIPTS = 10_000
WARM = 0.2
"""Share of the receipts after which all caches of the process are filled."""
ALLOWED_MIB = 8.0
"""Allowance for the allocator, which may grow without a leak."""


def measure(bench: Bench) -> Result:
    """Compare the memory after a fifth of the receipts with the memory after all of them."""
    count = bench.of(RECEIPTS, 1_000)
    with (
        LoadServer(passing(bench.scratch), messages=count) as server,
        worker().start(server, bench.scratch, slots=32) as process,
    ):
        seen = []
        for share in (WARM, 0.4, 0.6, 0.8, 1.0):
            bench.tell(f"growth: {round(share * count)} of {count} receipts")
            Mark.of(server, process, stored=round(share * count))
            seen.append(process.memory_mib("VmRSS"))
    result = Result()
    result.add("rss_after_receipts_mib", of=seen, what=f"memory during {count} receipts", unit="MiB", digits=1)
    grown = [seen[-1] - seen[0]]
    goal = Goal("<=", ALLOWED_MIB)
    result.add("rss_growth_mib", of=grown, what="its growth after the first fifth", unit="MiB", digits=1, goal=goal)
    return result
