"""The object graph of a worker, built in one place for the worker, the tests and the benchmarks.

Consumer ── MessageHandler ── Pipeline ──┬── Fetcher ───────── s3
   │                                     ├── Claims, Store ─── dynamodb
   ├── LeaseKeeper, Settler ── sqs       └── Endpoint ──────── sagemaker
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from worker.aws.clients import Clients
from worker.extraction import protocols
from worker.extraction.endpoint import Endpoint, EndpointTarget
from worker.extraction.memory import ByteBudget
from worker.extraction.pages import ImageLimits
from worker.extraction.sandbox import Sandbox
from worker.messages.consumer import Consumer, ConsumerPolicy, Work
from worker.messages.leases import LeaseKeeper, LeasePolicy
from worker.messages.permits import Permits
from worker.messages.queue import Queue
from worker.messages.settlement import SettlementPolicy, Settler
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.resilience.faults import MACHINE
from worker.resilience.limiter import Limiter, LimitPolicy
from worker.results.claims import ClaimPolicy, Claims
from worker.results.conditional import Rows
from worker.results.duplicates import Duplicates
from worker.results.offload import Offload
from worker.results.store import ResultsStore
from worker.runtime.fetch import Fetcher, FetchPolicy
from worker.runtime.job import RecordMaker
from worker.runtime.message import MessageHandler
from worker.runtime.observability import DependencyReporter, MessageReporter
from worker.runtime.pipeline import Pipeline, Stages
from worker.runtime.protection import Agent, TaskProtection, agent_url
from worker.settings import Settings
from worker.telemetry import Telemetry

DEPENDENCIES = ("sqs", "s3", "sagemaker", "dynamodb", MACHINE)
FETCH_MIB_PER_S = 1.0
"""Slowest rate at which an upload of the largest size may arrive."""
CLAIM_MARGIN_S = 15.0
"""A claim is this much longer than one call of the endpoint may take, seconds."""
STARTING_INVOCATIONS = 8
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """The clocks of a worker, in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time


class Dependencies:
    """The dependencies of a worker, each with its breaker: four services of AWS, and the machine itself."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        *,
        clocks: Clocks | None = None,
        rng: random.Random | None = None,
    ) -> None:
        clocks = clocks or Clocks()
        reporter = DependencyReporter(telemetry)
        breaking = BreakerPolicy(failures=settings.breaker_failures, probe_s=settings.breaker_probe_s)
        retrying = RetryPolicy(attempts=settings.call_attempts, base_s=settings.call_base_s, cap_s=settings.call_cap_s)
        self._by_name = {}
        for name in DEPENDENCIES:
            breaker = Breaker(name, breaking, clock=clocks.monotonic, rng=rng, on_change=reporter.breaker_changed)
            self._by_name[name] = Dependency(name, breaker, retrying, rng=rng, on_fault=reporter.fault)
            reporter.watch(self._by_name[name])

    def __getitem__(self, name: str) -> Dependency:
        return self._by_name[name]

    @property
    def breakers(self) -> list[Breaker]:
        """The breakers of all dependencies."""
        return [dependency.breaker for dependency in self._by_name.values()]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The objects of a worker that others run, observe or stop."""

    consumer: Consumer
    keeper: LeaseKeeper
    settler: Settler
    permits: Permits
    limiter: Limiter
    dependencies: Dependencies
    protection: TaskProtection | None


def build(
    settings: Settings,
    aws: Clients,
    queue: Queue,
    executor: Executor,
    *,
    telemetry: Telemetry,
    dependencies: Dependencies,
    clocks: Clocks | None = None,
    rng: random.Random | None = None,
    sandbox: Sandbox | None = None,
    around: Callable[[Work], Work] = lambda work: work,
) -> Parts:
    """Build a worker.

    `executor` decodes pictures, the risky ones in `sandbox`; `around` wraps the work on each message.
    """
    clocks = clocks or Clocks()
    limiter = build_limiter(settings, clock=clocks.monotonic)
    endpoint = build_endpoint(
        settings,
        aws,
        dependency=dependencies["sagemaker"],
        limiter=limiter,
        on_call=lambda: telemetry.count("Invocations"),
    )
    rows = Rows(aws.dynamodb, settings.table, dependencies["dynamodb"])
    stages = Stages(
        fetcher=_fetcher(settings, aws, dependencies["s3"], executor),
        claims=Claims(
            rows,
            Offload(aws.s3, dependencies["s3"]),
            ClaimPolicy(call_s=settings.endpoint_timeout_s, margin_s=CLAIM_MARGIN_S),
            clock=clocks.epoch,
        ),
        images=ImageLimits.of(settings),
        sandbox=sandbox or Sandbox(),
        machine=dependencies[MACHINE],
        executor=executor,
        endpoint=endpoint,
        records=RecordMaker(
            review_threshold=settings.review_threshold, expire_days=settings.expire_days, clock=clocks.epoch
        ),
        duplicates=Duplicates(aws.dynamodb, settings.table),
        store=ResultsStore(rows),
    )
    handler = MessageHandler(queue, Pipeline(stages, telemetry, clock=clocks.epoch), telemetry, clock=clocks.epoch)
    keeper = LeaseKeeper(
        queue,
        LeasePolicy(visibility_s=settings.visibility_s, heartbeat_s=settings.heartbeat_s),
        clock=clocks.monotonic,
    )
    settler = Settler(
        queue,
        SettlementPolicy(backoff_base_s=settings.backoff_base_s, backoff_cap_s=settings.backoff_cap_s),
        rng=rng,
        on_unsettled=lambda _: telemetry.count("Unsettled"),
    )
    url = agent_url()
    protection = TaskProtection(Agent(url), clock=clocks.monotonic) if url and settings.protection else None
    permits = Permits(settings.max_in_flight)
    consumer = Consumer(
        queue,
        around(handler),
        permits=permits,
        leases=keeper,
        settler=settler,
        sqs=dependencies["sqs"],
        breakers=[dependencies[name].breaker for name in DEPENDENCIES if name != "sqs"],
        policy=ConsumerPolicy(receive_wait_s=settings.receive_wait_s, drain_s=settings.drain_s),
        watcher=MessageReporter(telemetry, protection, clock=clocks.epoch),
        clock=clocks.monotonic,
    )
    return Parts(
        consumer=consumer,
        keeper=keeper,
        settler=settler,
        permits=permits,
        limiter=limiter,
        dependencies=dependencies,
        protection=protection,
    )


def build_limiter(settings: Settings, *, clock: Callable[[], float]) -> Limiter:
    """Build the limit of concurrent invocations: fixed if the settings fix it, adaptive otherwise."""
    if settings.invocations is not None:
        return Limiter(clock=clock, fixed=settings.invocations)
    most = settings.max_in_flight
    return Limiter(clock=clock, policy=LimitPolicy(most=most, start=min(STARTING_INVOCATIONS, most)))


def build_endpoint(
    settings: Settings,
    aws: Clients,
    *,
    dependency: Dependency,
    limiter: Limiter,
    on_call: Callable[[], None] = lambda: None,
) -> Endpoint:
    """Build the client of the endpoint that the settings name; `on_call` is called before each invocation."""
    target = EndpointTarget(
        endpoint=settings.endpoint or "",
        variant=settings.target_variant,
        model=settings.target_model,
        inference_component=settings.inference_component,
        body_limit=settings.endpoint_body_limit,
    )
    return Endpoint(
        aws.sagemaker, target, protocols.make(settings), dependency=dependency, limiter=limiter, on_call=on_call
    )


def _fetcher(settings: Settings, aws: Clients, dependency: Dependency, executor: Executor) -> Fetcher:
    policy = FetchPolicy(
        upload_limit_bytes=round(settings.upload_limit_mib * MIB),
        fetch_s=settings.call_timeout_s + settings.upload_limit_mib / FETCH_MIB_PER_S,
    )
    return Fetcher(aws.s3, dependency, policy, ByteBudget(round(settings.memory_mib * MIB)), executor)
