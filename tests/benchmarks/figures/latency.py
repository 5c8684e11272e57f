"""Latency that the worker adds to a receipt, at 80 % of the throughput of its slots.

Messages arrive evenly, so that none waits for another. The remaining latency is the worker's own.
"""

import time

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import ahead, worker
from tests.benchmarks.serving import LoadServer, passing
from tests.benchmarks.spread import quantile

SLOTS = 32
SERVICE_S = 0.5
LOAD = 0.8


def measure(bench: Bench) -> Result:
    """Observe one worker for one window per run."""
    per_s = LOAD * SLOTS / SERVICE_S
    window_s = bench.of(10, 4)
    windows = []
    with (
        LoadServer(passing(bench.scratch), service_s=SERVICE_S) as server,
        worker(max_in_flight=SLOTS + ahead(SLOTS)).start(server, bench.scratch, slots=SLOTS) as process,
    ):
        server.polled(process)
        server.change(pace=[per_s, round(per_s * window_s * (bench.runs + 1))])
        for run in range(bench.runs + 1):
            bench.tell(f"latency: run {run}")
            time.sleep(window_s)
            figures = server.change()
            if run:  # the first window opens connections
                windows.append(figures)
    result = Result()
    for name, key, what in (
        ("before_invoke", "before_s", "visible to invoked"),
        ("after_answer", "after_s", "answered to stored"),
    ):
        for share in (0.5, 0.99):
            milliseconds = [1_000 * quantile(window[key], share) for window in windows]
            label = f"p{share * 100:.0f}"
            result.add("latency_ms", name, label, of=milliseconds, what=f"{what}, {label}", unit="ms", digits=1)
    return result
