"""A discrete-event simulation of uploads, a queue, tasks with slots, an endpoint with a queue, and alarms.

Messages are received in order, each at the first moment at which a slot is free. The endpoint serves invocations in
order, each at the first moment at which one of its places is free. Both are heaps of the times at which places become
free, so a receipt costs two heap operations, and a day of a million uploads takes seconds. Every 15 s, the shortest
period of any policy, the fleet is adjusted: tasks are started, and idle ones stopped.

A new task invokes as the worker's limiter allows: a few receipts concurrently, and one more with each answer. The
simulation omits failures and retries of receipts, messages out of order, Spot reclaims and deployments. It also omits
that the limiter lowers concurrency when the endpoint throttles, so it counts more throttles.
"""

import itertools
import math
import random
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from statistics import NormalDist

from worker.workbench.scaling.autoscaling import ApplicationAutoScaling, Autoscaler, DataPoint, TargetTracking
from worker.workbench.scaling.scenario import QUEUE_SLEEPS_S, QUEUE_WAKES_S, EndpointModel, Scenario, WorkerModel

TICK_S = 15
PATIENCE_S = 24 * 3_600
"""Time after the last minute of uploads at which the simulation ends; receipts without a result are unfinished."""
RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses of a throttled invocation, in order; the last one repeats."""
_SAMPLES = 10_007
"""Number of precomputed service times: evenly spaced quantiles in random order, so that mean and tail are exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """The system at the end of one minute."""

    visible: int
    in_flight: int
    oldest_s: float
    desired: int
    running: int
    cpu_share: float | None
    instances: int


@dataclass(slots=True, kw_only=True)
class Run:
    """The record of one simulation."""

    result_s: list[float]
    """Time from upload to result of each finished receipt, in order of upload."""
    unfinished: int
    minutes: list[Minute]
    task_s: float
    """Billed task time, from the decision to start a task to its end."""
    instance_s: float
    throttles: int


@dataclass(slots=True)
class _Fleet:
    """The tasks; slots are a heap of (free at, task)."""

    worker: WorkerModel
    slots_each: int
    draw: random.Random
    slots: list[tuple[float, int]] = field(default_factory=list)
    cold: dict[int, int] = field(default_factory=dict)
    """Number of slots that each new task does not use yet; each answer frees one more."""
    started_at: dict[int, float] = field(default_factory=dict)
    """Start time of each current task, oldest first."""
    ready_at: dict[int, float] = field(default_factory=dict)
    task_s: float = 0.0
    made: int = 0

    def resize(self, now_s: float, desired: int) -> None:
        """Start missing tasks, and stop surplus ones as far as protection allows."""
        for _ in range(desired - len(self.started_at)):
            self._start(now_s)
        surplus = len(self.started_at) - desired
        if surplus > 0:
            self._stop(now_s, surplus)

    def running(self, now_s: float) -> int:
        """Return the number of tasks that can receive."""
        return sum(1 for ready in self.ready_at.values() if ready <= now_s)

    def finish(self, now_s: float) -> None:
        """Add the time of the remaining tasks to the bill."""
        self.task_s += sum(now_s - started for started in self.started_at.values())

    def _start(self, now_s: float) -> None:
        low, high = self.worker.start_s
        ready = now_s + low + (high - low) * self.draw.random()
        self.started_at[self.made] = now_s
        self.ready_at[self.made] = ready
        first = min(self.slots_each, self.worker.first_slots)
        for _ in range(first):
            heappush(self.slots, (ready, self.made))
        if first < self.slots_each:
            self.cold[self.made] = self.slots_each - first
        self.made += 1

    def _stop(self, now_s: float, surplus: int) -> None:
        """Stop the newest tasks first, because they may not have started yet; of protected tasks, only idle ones."""
        busy_until = dict.fromkeys(self.started_at, 0.0)
        for free, task in self.slots:
            if free > busy_until[task] and free != self.ready_at[task]:
                busy_until[task] = free
        idle_since = now_s - self.worker.protected_idle_s
        free_to_go = [task for task, until in busy_until.items() if not self.worker.protected or until <= idle_since]
        going = set(free_to_go[-surplus:])
        if not going:
            return
        for task in going:
            self.task_s += max(now_s, busy_until[task]) - self.started_at.pop(task)
            del self.ready_at[task]
            self.cold.pop(task, None)
        self.slots[:] = [slot for slot in self.slots if slot[1] not in going]
        heapify(self.slots)


@dataclass(slots=True)
class _Endpoint:
    """The instances; places are a heap of the times at which they become free."""

    model: EndpointModel
    instances: int
    scaler: ApplicationAutoScaling
    places: list[float]
    instance_s: float = 0.0

    @classmethod
    def start(cls, model: EndpointModel) -> "_Endpoint":
        tracking = TargetTracking(
            lambda point: point.in_flight / max(point.desired, 1), target=model.target_share * model.concurrency
        )
        scaler = ApplicationAutoScaling([tracking], least=model.min_instances, most=model.max_instances)
        return cls(model, model.min_instances, scaler, [0.0] * (model.min_instances * model.concurrency))

    def scale(self, now_s: float, point: DataPoint) -> None:
        """Apply the endpoint's own target tracking on concurrent requests."""
        wanted = self.scaler.decide(now_s, point._replace(desired=self.instances), self.instances)
        for _ in range(wanted - self.instances):
            for _ in range(self.model.concurrency):
                heappush(self.places, now_s + self.model.start_s)
        for _ in range((self.instances - wanted) * self.model.concurrency):
            heappop(self.places)
        self.instances = wanted


@dataclass(slots=True)
class _Sleep:
    """The state of SQS's metrics, which stop for a queue that has been unused for hours."""

    used_at: float = 0.0
    wakes_at: float = 0.0

    def awake(self, now_s: float, point: DataPoint) -> bool:
        """Return whether the queue's metrics are published in this minute."""
        if point.running or point.visible or point.in_flight:
            if now_s - self.used_at > QUEUE_SLEEPS_S:
                self.wakes_at = now_s + QUEUE_WAKES_S
            self.used_at = now_s
        return now_s >= self.wakes_at and now_s - self.used_at <= QUEUE_SLEEPS_S


def service_times(model: EndpointModel, *, seed: int) -> list[float]:
    """Return the pool of invocation times: shuffled lognormal quantiles with the model's mean and variation."""
    if model.variation == 0:
        return [model.invoke_s]
    sigma = math.sqrt(math.log(1 + model.variation**2))
    middle = math.log(model.invoke_s) - sigma**2 / 2
    normal = NormalDist(middle, sigma)
    times = [math.exp(normal.inv_cdf((rank + 0.5) / _SAMPLES)) for rank in range(_SAMPLES)]
    scale = model.invoke_s * _SAMPLES / math.fsum(times)
    times = [round(time * scale, 6) for time in times]
    random.Random(seed).shuffle(times)  # noqa: S311 - a simulation must be repeatable, not secret
    return times


def simulate(scenario: Scenario, uploads: Sequence[float], autoscaler: Autoscaler, *, length_s: float) -> Run:
    """Simulate one policy on uploads (seconds, ascending) until `length_s` has passed and the queue is empty."""
    return _Simulation(scenario, uploads, autoscaler).run(length_s)


class _Simulation:
    """The state of a simulation."""

    def __init__(self, scenario: Scenario, uploads: Sequence[float], autoscaler: Autoscaler) -> None:
        self.scenario = scenario
        self.uploads = uploads
        self.queued = [at + scenario.notify_s for at in uploads]
        self.autoscaler = autoscaler
        self.desired = autoscaler.least
        slots = scenario.worker.slots_fed(scenario.receipt_s)
        self.fleet = _Fleet(scenario.worker, slots, random.Random(scenario.seed))  # noqa: S311 - repeatable, not secret
        self.endpoint = _Endpoint.start(scenario.endpoint)
        self.take = itertools.cycle(service_times(scenario.endpoint, seed=scenario.seed)).__next__
        self.sleep = _Sleep()
        self.begins: deque[float] = deque()
        self.ends: list[float] = []
        self.ended_by_tick: defaultdict[int, int] = defaultdict(int)
        self.ended = 0
        self.arrived = 0
        self.begun_before = 0
        self.arrived_before = 0
        self.throttles = 0
        self.minutes: list[Minute] = []
        self.points: list[DataPoint | None] = []

    def run(self, length_s: float) -> Run:
        """Simulate tick by tick."""
        end_s = length_s + PATIENCE_S
        self.fleet.resize(-self.scenario.worker.start_s[1], self.desired)  # the minimum number of tasks runs already
        now_s = 0.0
        while now_s < end_s and (now_s < length_s or now_s % 60 or self.ended < len(self.uploads)):
            now_s += TICK_S
            self._work_until(now_s)
            self.ended += self.ended_by_tick.pop(int(now_s / TICK_S) - 1, 0)
            self.arrived = bisect_left(self.queued, now_s, self.arrived)
            point = self._data_point(now_s)
            if now_s % 60 == 0:
                self._measure(now_s, point)
            if now_s % self.autoscaler.period_s == 0:
                self._decide(now_s, point)
            self.fleet.resize(now_s, self.desired)
        self.fleet.finish(now_s)
        result_s = [end - at for end, at in zip(self.ends, self.uploads, strict=False) if end <= now_s]
        return Run(
            result_s=result_s,
            unfinished=len(self.uploads) - len(result_s),
            minutes=self.minutes,
            task_s=self.fleet.task_s,
            instance_s=self.endpoint.instance_s,
            throttles=self.throttles,
        )

    def _work_until(self, horizon: float) -> None:
        """Begin every receipt that finds a slot before the horizon: the only loop that runs once per receipt."""
        queued, ends, ended_by_tick = self.queued, self.ends, self.ended_by_tick
        slots, cold = self.fleet.slots, self.fleet.cold
        places, room_for = self.endpoint.places, self.endpoint.model.queue * self.endpoint.instances
        before_s, after_s = self.scenario.worker.before_s, self.scenario.worker.after_s
        take, number, total = self.take, len(ends), len(queued)
        # With at most as many slots as places and queue together, no throttle can occur, so start times are not kept.
        crowded = len(slots) + sum(cold.values()) > len(places) + room_for
        begins = self.begins = deque(self.begins if crowded else (), maxlen=room_for + 1)
        while number < total and slots:
            free, task = slots[0]
            waits = queued[number]
            start = free if free > waits else waits  # noqa: FURB136 - a function call is too slow here
            if start >= horizon:
                break
            begin = start + before_s
            # The endpoint's queue has room once the receipt that is `room_for` places ahead has begun.
            if crowded and len(begins) > room_for and begins[0] > begin:
                begin = self._retry(begin, begins[0])
            place = places[0]
            if begin < place:  # noqa: PLR1730 - as above
                begin = place
            if crowded:
                begins.append(begin)
            answered = begin + take()
            end = answered + after_s
            heapreplace(places, answered)
            heapreplace(slots, (end, task))
            if cold and task in cold:
                heappush(slots, (end, task))
                cold[task] -= 1
                if not cold[task]:
                    del cold[task]
            ended_by_tick[int(end // TICK_S)] += 1
            ends.append(end)
            number += 1

    def _retry(self, ask: float, room_at: float) -> float:
        """Return the moment at which a throttled invocation is finally accepted, and count its throttles."""
        for wait in RETRY_S:
            if ask >= room_at:
                return ask
            ask += wait
            self.throttles += 1
        more = max(0, math.ceil((room_at - ask) / RETRY_S[-1]))
        self.throttles += more
        return ask + more * RETRY_S[-1]

    def _data_point(self, now_s: float) -> DataPoint:
        begun = len(self.ends)
        running = self.fleet.running(now_s)
        cpu_share = None
        if running and now_s % 60 == 0:
            worker = self.scenario.worker
            busy = (begun - self.begun_before) * worker.cpu_s_per_receipt / (running * 60 * worker.vcpu)
            cpu_share = min(1.0, worker.idle_cpu_share + busy)
        return DataPoint(
            visible=self.arrived - begun,
            in_flight=begun - self.ended,
            desired=self.desired,
            running=running,
            sent=self.arrived - self.arrived_before,
            cpu_share=cpu_share,
        )

    def _measure(self, now_s: float, point: DataPoint) -> None:
        """Publish the minute's metrics, and let the endpoint scale by its own metrics."""
        begun = len(self.ends)
        self.begun_before, self.arrived_before = begun, self.arrived
        self.minutes.append(
            Minute(
                visible=point.visible,
                in_flight=point.in_flight,
                oldest_s=now_s - self.queued[begun] if point.visible else 0.0,
                desired=point.desired,
                running=len(self.fleet.started_at),
                cpu_share=point.cpu_share,
                instances=self.endpoint.instances,
            )
        )
        published = self.scenario.queue_kept_awake or self.sleep.awake(now_s, point)
        self.points.append(point if published else None)
        self.endpoint.instance_s += 60 * self.endpoint.instances
        self.endpoint.scale(now_s, point)

    def _decide(self, now_s: float, point: DataPoint) -> None:
        if not self.autoscaler.delayed:
            self.desired = self.autoscaler.decide(now_s, point, self.desired)
            return
        newest = len(self.points) - 1 - self.scenario.metric_delay_s // 60
        seen = self.points[newest] if newest >= 0 else None
        if seen:
            self.desired = self.autoscaler.decide(now_s, seen, self.desired)
