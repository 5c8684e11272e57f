"""`python -m tests.chaos.capacity`: a worker with its defaults finds what the endpoint can take, and follows it.

The endpoint serves 24 invocations at a time and throttles above; then 12, then 24 again. Nothing tells the worker.
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
"""Time in which the worker has to have found a capacity."""
STEADY_S = 40.0
SAMPLE_S = 0.2
CAPACITIES = (24, 12, 24)
AT_MOST_OFF = 2
MOST_THROTTLED = 0.03


@dataclass(frozen=True)
class Phase:
    """What was seen while the endpoint had one capacity, once the worker had had time to find it."""

    capacity: int
    limit: float
    """The worker's own limit, in the mean."""
    running: float
    """Invocations at a time that the endpoint served, in the mean."""
    throttled: float
    """Share of the calls that were throttled."""

    @property
    def sound(self) -> bool:
        """Tell whether the capacity was found and held."""
        return abs(self.limit - self.capacity) <= AT_MOST_OFF and self.throttled < MOST_THROTTLED


async def measure(console: Console) -> list[Phase]:
    """Let a worker work on more than it can while the endpoint's capacity changes."""
    endpoint = FakeEndpoint(service_s=lambda: SERVICE_S, capacity=CAPACITIES[0])
    async with endpoint.serve(), site("capacity", endpoint) as place:
        feeding = asyncio.create_task(_feed(place, endpoint))
        worker = await place.worker()
        phases = []
        for capacity in CAPACITIES:
            endpoint.capacity = capacity
            console.print(f"The endpoint takes {capacity} at a time …")
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
    """Keep some hundred receipts waiting."""
    for number in range(1_000_000):
        while number - sum(endpoint.calls.values()) > 300:
            await asyncio.sleep(0.2)
        await place.aws.s3.put_object(Bucket=place.resources.bucket, Key=f"{number}.jpg", Body=picture(number))


def main() -> int:
    """Print the figures and write them to build/capacity.json; return 1 where a capacity was not found."""
    console = Console(stderr=True)
    phases = asyncio.run(measure(console))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps([asdict(phase) | {"sound": phase.sound} for phase in phases], indent=2) + "\n")
    table = Table(title="The endpoint's capacity, found by a worker", caption=f"written to {OUTPUT}")
    for name in ("capacity", "limit", "served at a time", "throttled", ""):
        table.add_column(name, justify="right")
    for phase in phases:
        values = (f"{phase.capacity}", f"{phase.limit:.1f}", f"{phase.running:.1f}", f"{phase.throttled:.2%}")
        table.add_row(*values, "held" if phase.sound else "NOT held")
    Console().print(table)
    return 0 if all(phase.sound for phase in phases) else 1


if __name__ == "__main__":
    sys.exit(main())
