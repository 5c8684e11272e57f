"""`python -m tests.chaos.capacity`: check that a worker with default settings finds and follows an endpoint's capacity.

The endpoint serves 24 concurrent invocations and throttles above that; then 12, then 24 again. The worker is not told.
"""

import asyncio
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.support.endpoint import FakeEndpoint
from tests.support.pictures import picture
from tests.support.site import Site, site

OUTPUT = Path("build/capacity.json")
SERVICE_S = 2.0
FOLLOW_S = 30.0
"""Time in which the worker must find a new capacity."""
STEADY_S = 40.0
SAMPLE_S = 0.2
CAPACITIES = (24, 12, 24)
AT_MOST_OFF = 2
MOST_THROTTLED = 0.03


@dataclass(frozen=True)
class Phase:
    """Measurements at one capacity of the endpoint, taken after the worker has had time to find it."""

    capacity: int
    limit: float
    """Mean of the worker's own limit."""
    running: float
    """Mean number of concurrent invocations that the endpoint served."""
    throttled: float
    """Share of throttled calls."""

    @property
    def sound(self) -> bool:
        """Return whether the worker found the capacity and stayed there."""
        return abs(self.limit - self.capacity) <= AT_MOST_OFF and self.throttled < MOST_THROTTLED


async def measure(console: Console) -> list[Phase]:
    """Keep a worker saturated while the endpoint's capacity changes."""
    endpoint = FakeEndpoint(service_s=lambda: SERVICE_S, capacity=CAPACITIES[0])
    async with endpoint.serve(), site("capacity", endpoint) as place:
        feeding = asyncio.create_task(_feed(place, endpoint))
        worker = await place.worker()
        phases = []
        for capacity in CAPACITIES:
            endpoint.capacity = capacity
            console.print(f"The endpoint serves {capacity} invocations at a time …")
            await asyncio.sleep(FOLLOW_S)
            begun, throttled = endpoint.begun, endpoint.throttled
            limits, running = [], []
            for _ in range(round(STEADY_S / SAMPLE_S)):
                limits.append((await worker.health())["invocation_limit"])
                running.append(endpoint.running)
                await asyncio.sleep(SAMPLE_S)
            share = (endpoint.throttled - throttled) / (endpoint.begun - begun)
            phases.append(Phase(capacity, statistics.fmean(limits), statistics.fmean(running), share))
        feeding.cancel()
        return phases


async def _feed(place: Site, endpoint: FakeEndpoint) -> None:
    """Keep about 300 receipts waiting."""
    for number in range(1_000_000):
        while number - sum(endpoint.calls.values()) > 300:
            await asyncio.sleep(0.2)
        await place.aws.s3.put_object(Bucket=place.resources.bucket, Key=f"{number}.jpg", Body=picture(number))


def main() -> int:
    """Print the figures and write them to build/capacity.json; return 1 if a capacity was not found."""
    console = Console(stderr=True)
    phases = asyncio.run(measure(console))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([asdict(phase) | {"sound": phase.sound} for phase in phases], indent=2) + "\n")
    table = Table(title="The endpoint's capacity and the limit that the worker found", caption=f"written to {OUTPUT}")
    for name in ("capacity", "limit", "served concurrently", "throttled", "result"):
        table.add_column(name, justify="right")
    for phase in phases:
        values = (f"{phase.capacity}", f"{phase.limit:.1f}", f"{phase.running:.1f}", f"{phase.throttled:.2%}")
        table.add_row(*values, "found" if phase.sound else "NOT found")
    Console().print(table)
    return 0 if all(phase.sound for phase in phases) else 1


if __name__ == "__main__":
    sys.exit(main())
