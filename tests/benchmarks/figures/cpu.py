"""CPU time of a receipt with a passing picture, compared with the bare calls, measured alternately.

Floor A is unmodified aioboto3 under uvloop. Floor B signs requests by hand over one aiohttp session. Each is measured
with the four indispensable calls, and with all calls of the worker: the worker also claims a content, stores its answer
and queries for duplicates, which is the price of its guarantees.
"""

from collections import defaultdict

from tests.benchmarks.bench import Bench, Result
from tests.benchmarks.contenders import bare, worker
from tests.benchmarks.sampling import Sample, sample
from tests.benchmarks.serving import passing
from tests.benchmarks.spread import Goal

SLOTS = 32
SERVICE_S = 0.1
CONTENDERS = (
    worker(),
    bare("floor_a", client="aioboto3", calls="four"),
    bare("floor_b", client="signed", calls="four"),
    bare("floor_a_same_calls", client="aioboto3", calls="same"),
    bare("floor_b_same_calls", client="signed", calls="same"),
)


def measure(bench: Bench) -> Result:
    """Measure all contenders in turn in every run, so that they share the state of the machine."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    for run in range(bench.runs):
        for contender in CONTENDERS:
            bench.tell(f"cpu: {contender.name}, run {run + 1}")
            samples[contender.name].append(
                sample(
                    contender,
                    picture=passing(bench.scratch),
                    scratch=bench.scratch,
                    count=bench.of(600, 200),
                    slots=SLOTS,
                    service_s=SERVICE_S,
                )
            )
    result = Result()
    cpu = {name: [one.cpu_ms for one in runs] for name, runs in samples.items()}
    result.add("cpu_ms_per_receipt", of=cpu["worker"], what="CPU of a receipt", unit="ms")
    for name, what in (
        ("floor_a", "floor A: the four calls, aioboto3"),
        ("floor_b", "floor B: the four calls, signed by hand"),
        ("floor_a_same_calls", "floor A with all calls of the worker"),
        ("floor_b_same_calls", "floor B with all calls of the worker"),
    ):
        result.add(f"{name}_ms", of=cpu[name], what=what, unit="ms")
    for name, goal in (("floor_a", Goal("<=", 1.15)), ("floor_a_same_calls", None), ("floor_b", None)):
        ratios = [mine / floor for mine, floor in zip(cpu["worker"], cpu[name], strict=True)]
        result.add(f"cpu_to_{name}", of=ratios, what=f"CPU ÷ {name.replace('_', ' ')}", unit="", goal=goal)
    result.add(
        "receipts_per_core_s",
        of=[one.per_s for one in samples["worker"]],
        what="receipts on one core",
        unit="/s",
        digits=1,
    )
    server = [one.server_ms for one in samples["worker"]]
    result.add("load_server_ms", of=server, what="the load server's own CPU of a receipt", unit="ms")
    result.medians["calls_per_receipt"] = samples["worker"][-1].calls
    return result
