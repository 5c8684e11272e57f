"""Compare the simulator's worker model with the real worker, on the same uploads and service times.

The embedded stack runs with an endpoint whose service times are drawn from the simulator's own pool. First, a few
receipts, one after the other, show the time that a receipt takes besides its invocation. Then many receipts are
uploaded, and the time until the last record is stored is compared with the simulation of the same uploads. The CPU use
of the worker processes is measured while all their slots are busy.

    make calibrate                        one or two minutes; writes docs/scaling/calibration.json
    python tests/benchmarks/calibration.py --uploads 200 --invoke-s 2 --keep
"""

import argparse
import asyncio
import datetime as dt
import io
import itertools
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiohttp import web
from PIL import Image

from worker.results.polling import records
from worker.workbench.local.emulator import listen, url
from worker.workbench.local.stack import Stack
from worker.workbench.scaling.autoscaling import Fixed
from worker.workbench.scaling.scenario import EndpointModel, Scenario, WorkerModel
from worker.workbench.scaling.simulator import service_times, simulate

RESULT = Path(__file__).parents[2] / "docs" / "scaling" / "calibration.json"
SLOTS = 32
LONE = 8
LOOK_S = 0.25
TOLERANCE = 0.1
"""Allowed relative difference of the drain times. Above it, nothing is written and the command ends with 1."""
ANSWER = {"receipt": {"merchant": {"name": "Corner Shop"}, "total": "12.34", "currency": "EUR"}, "confidence": {}}


@dataclass
class Invocation:
    """Times of one call's arrival and answer, in seconds since the epoch."""

    came: float
    answered: float = 0.0


@dataclass
class Model:
    """A container whose invocations take the times of `service_s`, with unlimited concurrency."""

    service_s: Iterator[float]
    running: int = 0
    invocations: list[Invocation] = field(default_factory=list)

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer one call after its service time."""
        await request.read()
        call = Invocation(time.time())
        self.invocations.append(call)
        self.running += 1
        await asyncio.sleep(next(self.service_s))
        self.running -= 1
        call.answered = time.time()
        return web.json_response(ANSWER)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve on loopback; yield the address."""
        app = web.Application(client_max_size=0)
        app.router.add_post("/invocations", self.invoke)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        listener = listen(0)
        await web.SockSite(runner, listener).start()
        try:
            yield url(listener)
        finally:
            await runner.cleanup()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run and its simulation. Times are in seconds."""

    workers: int
    uploads: int
    invoke_s: float
    before_s: float
    """Median time from receive to invocation, for single receipts."""
    after_s: float
    """Median time from answer to record, for single receipts."""
    drain_s: float
    simulated_drain_s: float
    p50_s: float
    simulated_p50_s: float
    p95_s: float
    simulated_p95_s: float
    in_flight: float
    """Mean number of running invocations while CPU was measured."""
    cpu_share: float
    """CPU use of one worker process in that time, as a share of one core."""
    cpu_ms_per_receipt: float


async def main() -> None:
    """Measure with one worker and with two; print and write the results."""
    options = arguments()
    runs = [await measure(workers, options) for workers in (1, 2)]
    for run in runs:
        off = run.simulated_drain_s / run.drain_s - 1
        sys.stdout.write(
            f"{run.workers} worker(s): {run.uploads} receipts drained in {run.drain_s:.1f} s, simulated "
            f"{run.simulated_drain_s:.1f} s ({off:+.1%}); p95 {run.p95_s:.1f} / {run.simulated_p95_s:.1f} s; "
            f"CPU {run.cpu_share:.1%} of a core with {run.in_flight:.1f} in flight each, "
            f"{run.cpu_ms_per_receipt:.1f} ms a receipt\n"
        )
    if any(abs(run.simulated_drain_s / run.drain_s - 1) > TOLERANCE for run in runs):
        raise SystemExit(
            f"More than {TOLERANCE:.0%} apart: the machine was busy, or the simulator is wrong. Try a quiet machine."
        )
    if not options.keep:
        machine = f"{os.cpu_count()} cores shared, Python {platform.python_version()}, Linux on {platform.machine()}"
        RESULT.write_text(json.dumps({"machine": machine, "runs": [asdict(run) for run in runs]}, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Compare the real worker with the simulator.")
    parser.add_argument("--uploads", type=int, default=480)
    parser.add_argument("--rate", type=float, default=40.0, help="uploads a second")
    parser.add_argument("--invoke-s", type=float, default=3.5)
    parser.add_argument("--kilobytes", type=int, default=200, help="size of a picture")
    parser.add_argument("--fixed", action="store_true", help="fix the limit of invocations at the number of slots")
    parser.add_argument("--keep", action="store_true", help="print the results, but do not write them")
    return parser.parse_args()


async def measure(workers: int, options: argparse.Namespace) -> Measured:
    """Run the stack once, then simulate the same uploads."""
    endpoint = EndpointModel(invoke_s=options.invoke_s, concurrency=10_000, min_instances=1, max_instances=1)
    model = Model(itertools.repeat(options.invoke_s))
    pictures = different_pictures(options.kilobytes)
    fixed = {"RECEIPTS_INVOCATIONS": str(SLOTS)} if options.fixed else {}
    variables = {"RECEIPTS_MAX_IN_FLIGHT": str(SLOTS), **fixed}
    async with model.serve() as address, Stack(workers=workers, container_url=address, variables=variables) as stack:
        before_s, after_s = await one_by_one(stack, model, pictures)
        model.service_s = itertools.cycle(service_times(endpoint, seed=1))
        watch = CpuWatch([child.process.pid for child in stack.workers], model)
        watching = asyncio.create_task(watch.run())
        put = await upload(stack, pictures, options.uploads, rate=options.rate)
        stored = await results(stack, put)
        watching.cancel()
    began = min(put.values())
    scenario = Scenario(
        worker=WorkerModel(
            slots=SLOTS,
            first_slots=SLOTS if options.fixed else WorkerModel().first_slots,
            before_s=before_s,
            after_s=after_s,
            cpu_s_per_receipt=0,
        ),
        endpoint=endpoint,
        notify_s=0,
    )
    ordered = sorted(at - began for at in put.values())
    run = simulate(scenario, ordered, Fixed(tasks=workers), length_s=0)
    waits = sorted(stored[key] - at for key, at in put.items())
    simulated = sorted(run.result_s)
    cpu_share, in_flight = watch.busy(least=0.9 * SLOTS * workers)
    return Measured(
        workers=workers,
        uploads=options.uploads,
        invoke_s=options.invoke_s,
        before_s=round(before_s, 3),
        after_s=round(after_s, 3),
        drain_s=round(max(stored.values()) - began, 2),
        simulated_drain_s=round(max(r + at for r, at in zip(run.result_s, ordered, strict=True)), 2),
        p50_s=round(statistics.median(waits), 2),
        simulated_p50_s=round(statistics.median(simulated), 2),
        p95_s=round(waits[int(0.95 * len(waits))], 2),
        simulated_p95_s=round(simulated[int(0.95 * len(simulated))], 2),
        in_flight=round(in_flight / workers, 1),
        cpu_share=round(cpu_share / workers, 4),
        cpu_ms_per_receipt=round(1_000 * watch.used() / options.uploads, 1),
    )


async def one_by_one(stack: Stack, model: Model, pictures: Iterator[bytes]) -> tuple[float, float]:
    """Process a few receipts one at a time; return the median seconds before and after their invocations."""
    before, after = [], []
    for number in range(LONE):
        key = f"lone/{number}.jpg"
        await put_object(stack, key, next(pictures))
        while not (found := await records(stack.clients.dynamodb, stack.resources.table, [document(stack, key)])):
            alive(stack)
            await asyncio.sleep(LOOK_S)
        (record,) = found.values()
        call = model.invocations[-1]
        received = seconds(record.uploaded_at) + record.timings_ms["waited"] / 1_000
        before.append(call.came - received)
        after.append(seconds(record.stored_at) - call.answered)
    return statistics.median(before), statistics.median(after)


async def upload(stack: Stack, pictures: Iterator[bytes], count: int, *, rate: float) -> dict[str, float]:
    """Upload `count` pictures at `rate` per second; return the upload times by document."""
    put: dict[str, float] = {}
    began = time.time()

    async def one(number: int) -> None:
        await asyncio.sleep(max(0.0, began + number / rate - time.time()))
        key = f"load/{number:05}.jpg"
        await put_object(stack, key, next(pictures))
        put[document(stack, key)] = time.time()

    await asyncio.gather(*(one(number) for number in range(count)))
    return put


async def results(stack: Stack, put: dict[str, float]) -> dict[str, float]:
    """Wait for all records; return the times at which they were stored, by document."""
    stored: dict[str, float] = {}
    while len(stored) < len(put):
        alive(stack)
        await asyncio.sleep(LOOK_S)
        open_ones = [name for name in put if name not in stored][:100]
        for name, record in (await records(stack.clients.dynamodb, stack.resources.table, open_ones)).items():
            if record.status not in ("extracted", "needs_review"):
                raise SystemExit(f"{name} is {record.status}: {record.reason} {record.detail}")
            stored[name] = seconds(record.stored_at)
        sys.stderr.write(f"\r{len(stored)} of {len(put)} stored \033[K")
    sys.stderr.write("\r\033[K")
    return stored


class CpuWatch:
    """A sampler of the CPU time of processes and of the number of running invocations."""

    def __init__(self, pids: list[int], model: Model) -> None:
        self._pids = pids
        self._model = model
        self._samples: list[tuple[float, float, int]] = []

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self._samples.append((time.time(), sum(map(cpu_s, self._pids)), self._model.running))
            await asyncio.sleep(LOOK_S)

    def used(self) -> float:
        """Return the CPU seconds from the first sample to the last."""
        return self._samples[-1][1] - self._samples[0][1]

    def busy(self, *, least: float) -> tuple[float, float]:
        """Return CPU use and mean invocations between the first and last sample with at least `least` invocations."""
        full = [number for number, sample in enumerate(self._samples) if sample[2] >= least]
        window = self._samples[full[0] : full[-1] + 1]
        share = (window[-1][1] - window[0][1]) / (window[-1][0] - window[0][0])
        return share, statistics.mean(running for _, _, running in window)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, from Linux's /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def different_pictures(kilobytes: int) -> Iterator[bytes]:
    """Yield different JPEGs of about `kilobytes` KB that the worker sends unchanged."""
    noise = random.Random(1)
    side = 640
    grain = Image.frombytes("L", (side, side), noise.randbytes(side * side))
    whole = b""
    for quality in range(30, 96):
        target = io.BytesIO()
        grain.save(target, "JPEG", quality=quality)
        whole = target.getvalue()
        if len(whole) >= 1_000 * kilobytes:
            break
    for number in itertools.count():
        comment = f"{number:012}".encode()
        yield whole[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + whole[2:]


async def put_object(stack: Stack, key: str, body: bytes) -> None:
    """Upload one picture."""
    await stack.clients.s3.put_object(Bucket=stack.resources.bucket, Key=key, Body=body, ContentType="image/jpeg")


def alive(stack: Stack) -> None:
    """Raise SystemExit if a process of the stack has ended."""
    if not stack.deaths.empty():
        raise SystemExit(str(stack.deaths.get_nowait()))


def document(stack: Stack, key: str) -> str:
    """Return the document of a key."""
    return f"{stack.resources.bucket}/{key}"


def seconds(moment: str) -> float:
    """Return an ISO 8601 time as seconds since the epoch."""
    return dt.datetime.fromisoformat(moment).timestamp()


if __name__ == "__main__":
    asyncio.run(main())
