"""The outcome of a simulated policy, in numbers to compare: waiting time, task-hours, throttles, cost."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from worker.workbench.scaling.scenario import SECONDS_PER_HOUR, Scenario
from worker.workbench.scaling.simulator import Run

REQUESTS_PER_RECEIPT = 3
"""Send, receive, delete: at most one SQS request each; batches of ten need fewer."""
POLLS_PER_TASK_HOUR = 180
"""Long polls of 20 s by an idle task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One policy on one profile. Times are seconds from upload to result, infinite for a receipt that is never done."""

    name: str
    receipts: int
    unfinished: int
    """Receipts without a result a day after the last upload."""
    p50_s: float
    p95_s: float
    p99_s: float
    worst_s: float
    oldest_s: float
    """Largest age of a waiting message."""
    task_hours: float
    most_tasks: int
    changes: int
    """Number of changes of the desired count."""
    tasks_at_minute: dict[int, int]
    """Tasks over time: minute to number of tasks from its end on, only for minutes in which it changed."""
    instance_hours: float
    throttles: int
    fleet_usd: float
    endpoint_usd: float
    queue_usd: float

    @property
    def cost_usd(self) -> float:
        """Total cost, US dollars."""
        return round(self.fleet_usd + self.endpoint_usd + self.queue_usd, 2)

    def as_dict(self) -> dict[str, Any]:
        """Return all numbers as JSON values; infinity is null, because JSON cannot express it."""
        numbers = {**asdict(self), "cost_usd": self.cost_usd}
        return {name: None if value == math.inf else value for name, value in numbers.items()}


def summarise(name: str, run: Run, scenario: Scenario) -> Outcome:
    """Return the outcome of one run."""
    results = sorted(run.result_s)
    total = len(results) + run.unfinished
    prices, worker = scenario.prices, scenario.worker
    task_hours = run.task_s / SECONDS_PER_HOUR
    instance_hours = run.instance_s / SECONDS_PER_HOUR
    requests = REQUESTS_PER_RECEIPT * total + POLLS_PER_TASK_HOUR * task_hours
    desired = [minute.desired for minute in run.minutes]
    running = [minute.running for minute in run.minutes]
    return Outcome(
        name=name,
        receipts=total,
        unfinished=run.unfinished,
        p50_s=percentile(results, total, 0.50),
        p95_s=percentile(results, total, 0.95),
        p99_s=percentile(results, total, 0.99),
        worst_s=percentile(results, total, 1.0),
        oldest_s=round(max((minute.oldest_s for minute in run.minutes), default=0.0)),
        task_hours=round(task_hours, 2),
        most_tasks=max(running, default=0),
        changes=sum(1 for before, after in itertools.pairwise(desired) if before != after),
        tasks_at_minute={n: tasks for n, tasks in enumerate(running) if n == 0 or tasks != running[n - 1]},
        instance_hours=round(instance_hours, 2),
        throttles=run.throttles,
        fleet_usd=round(task_hours * (worker.vcpu * prices.vcpu_hour + worker.memory_gb * prices.gb_hour), 2),
        endpoint_usd=round(instance_hours * prices.instance_hour, 2),
        queue_usd=round(requests / 1e6 * prices.million_requests, 2),
    )


def percentile(ascending: Sequence[float], total: int, share: float) -> float:
    """Return the value that `share` of `total` receipts do not exceed; missing receipts count as infinite."""
    rank = max(math.ceil(share * total), 1)
    if rank > len(ascending):
        return math.inf if total else 0.0
    return round(ascending[rank - 1], 1)
