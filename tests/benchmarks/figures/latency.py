"""Latency added: what a receipt waits for the worker, at four fifths of what its slots can do.

Messages come evenly, so that none has to wait for another; what is left is the worker's own.
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
    """Look at one worker for as many windows as there are runs."""
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
            if run:  # the first one opens connections
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
