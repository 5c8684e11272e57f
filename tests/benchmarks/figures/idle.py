"""Idle: CPU and calls of a worker whose queue is empty."""

import time

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import worker
from tests.benchmarks.serving import LoadServer, passing
from tests.benchmarks.spread import Goal

WINDOW_S = 20
"""Length of one long poll. A shorter window might contain none."""


def measure(bench: Bench) -> Result:
    """Observe one worker for one window per run."""
    shares = []
    with LoadServer(passing(bench.scratch)) as server, worker().start(server, bench.scratch, slots=32) as process:
        server.polled(process)
        time.sleep(2)
        before = server.change()
        for run in range(bench.of(bench.runs, 1)):
            bench.tell(f"idle: run {run + 1}")
            began, used = time.monotonic(), process.cpu_s()
            time.sleep(WINDOW_S)
            shares.append((process.cpu_s() - used) / (time.monotonic() - began))
        after = server.change()
    calls = sum(after["calls"].values()) - sum(before["calls"].values())
    result = Result()
    goal = Goal("<=", 0.5)
    percent = [100 * share for share in shares]
    result.add("idle_cpu_percent", of=percent, what="CPU while idle, of one core", unit="%", goal=goal)
    result.add("idle_cpu_share", of=shares, digits=5)
    per_hour = 3_600 * calls / (after["now"] - before["now"])
    result.add("idle_calls_per_hour", of=[per_hour], what="AWS calls while idle", unit="/h", digits=0)
    return result
