"""The composition root of a worker: makes everything, wires it, runs it, and stops it cleanly.

poller, lease keeper, settler, watchdog, metrics, protection, HTTP: all in one task group, so that one that dies
ends the process loudly instead of leaving a worker that looks alive and does nothing.
"""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog
import uvloop
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from worker.aws.clients import Clients, clients
from worker.errors import DependencyFault, ReceiptsError, SettingsError, Throttled
from worker.extraction import protocols, sandbox
from worker.extraction.endpoint import Endpoint, EndpointTarget
from worker.extraction.memory import ByteBudget
from worker.extraction.prepare import ImageLimits
from worker.messages.consumer import Consumer, ConsumerPolicy
from worker.messages.leases import Lease, LeaseKeeper, LeasePolicy
from worker.messages.outcomes import DeadLetter, Outcome, Release, Retry
from worker.messages.permits import Permits
from worker.messages.queue import Queue, Received, open_queue
from worker.messages.settlement import SettlementPolicy, Settler
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.resilience.limiter import Limiter, LimitPolicy
from worker.results.duplicates import Duplicates
from worker.results.offload import Offload
from worker.results.store import ResultsStore
from worker.runtime import health
from worker.runtime.job import RecordMaker
from worker.runtime.pipeline import Pipeline, PipelinePolicy
from worker.runtime.protection import TaskProtection, agent_url
from worker.settings import Settings
from worker.telemetry import Telemetry, configure_logging

if TYPE_CHECKING:
    from worker.console.api import ConsoleContext

log = structlog.get_logger(__name__)

FETCH_MIB_PER_S = 1.0
"""An upload that comes more slowly than this, at the largest size, is given up and fetched again."""
HTTP_GRACE_S = 0.5
"""Time that requests under way get at the end, which aiohttp waits twice at most."""
CLAIM_MARGIN_S = 15.0
"""A content is claimed for so much longer than one call of the endpoint may take."""
STARTING_INVOCATIONS = 8
YOUNG_OBJECTS = 10_000
"""Objects that may be made, less those that were freed, before the collector looks for cycles; Python's own is 700."""
MIB = 1024 * 1024
QUEUE_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})


class PollerStuckError(ReceiptsError):
    """The poller has not polled though nothing kept it from it."""


def run(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; return its exit code: 0 after a clean stop, 1 when something died.

    Raises `SettingsError` before anything is polled where the settings cannot work.
    """
    settings.require("queue_url", "endpoint")
    configure_logging(level=settings.log_level, style=settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(settings))
        except SettingsError:
            raise
        except Exception as error:
            for cause in _leaves(error):
                log.critical("worker.died", error=type(cause).__name__, exc_info=cause)
            return 1
    return 0


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


async def _serve(settings: Settings) -> None:
    stop = _Stop()
    try:
        async with AsyncExitStack() as stack:
            worker = await Worker.make(settings, stack)
            stop.how = worker.stop
            _spare_the_collector()
            await worker.run()
    except asyncio.CancelledError:
        if not stop.asked:
            raise
        log.info("worker.stopped")  # before it had begun
    except BaseExceptionGroup as group:
        if refused := group.subgroup(SettingsError):
            raise next(iter(_leaves(refused))) from None
        raise


class _Stop:
    """Stops cleanly on the first SIGTERM or SIGINT, and ends the process at once on the second.

    From the very start: while the queue is away a worker waits for it before it is made, and may be stopped there too.
    """

    def __init__(self) -> None:
        """Stop by a cancellation of the running task, until `how` is another way."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is running
        self.how: Callable[[], object] = task.cancel
        self.asked = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = True
        log.info("worker.stopping", signal=number.name)
        self.how()


def _spare_the_collector() -> None:
    """Let Python's collector of cycles look at what receipts leave, seldom, and never again at what stays for good.

    Left alone it walks all modules and models again and again: a tenth of a receipt's CPU.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 10)
    gc.enable()


class Worker:
    """One worker process, wired."""

    def __init__(
        self, settings: Settings, aws: Clients, queue: Queue, executor: Executor, watch: "DependencyWatch"
    ) -> None:
        """`watch` has made the breakers; `executor` decodes pictures."""
        clock = time.monotonic
        self._settings = settings
        self._aws = aws
        self._queue = queue
        self.telemetry = watch.telemetry
        self._watch = watch
        self.limiter = _limiter(settings, clock)
        pipeline = _pipeline(settings, aws, executor, watch, self.limiter)
        lease_policy = LeasePolicy(visibility_s=settings.visibility_s, heartbeat_s=settings.heartbeat_s)
        self._keeper = LeaseKeeper(queue, lease_policy, clock=clock)
        self._settler = Settler(
            queue,
            SettlementPolicy(backoff_base_s=settings.backoff_base_s, backoff_cap_s=settings.backoff_cap_s),
            on_unsettled=lambda _: self.telemetry.count("Unsettled"),
        )
        url = agent_url()
        self._protection = TaskProtection(url, clock=clock) if url and settings.protection else None
        permits = Permits(settings.max_in_flight)
        most = queue.max_receive_count

        async def work(received: Received, lease: Lease) -> Outcome:
            return await pipeline.message(received, lease, last_receive=most is not None and received.receives >= most)

        self.consumer = Consumer(
            queue,
            work,
            permits=permits,
            leases=self._keeper,
            settler=self._settler,
            sqs=watch.dependency("sqs"),
            breakers=[watch.dependency(name).breaker for name in ("s3", "sagemaker", "dynamodb")],
            policy=ConsumerPolicy(receive_wait_s=settings.receive_wait_s, drain_s=settings.drain_s),
            watcher=_Watcher(self.telemetry, self._protection),
            clock=clock,
        )
        self.stopping = False
        self._clock = clock
        self.telemetry.level("InFlight", lambda: self.consumer.in_flight)
        self.telemetry.level("InvocationLimit", lambda: self.limiter.limit)
        self.telemetry.level("Invoking", lambda: self.limiter.running)
        self.telemetry.level("SecondsSinceReceive", lambda: round(clock() - self.consumer.progress_at, 1))

    @classmethod
    async def make(cls, settings: Settings, stack: AsyncExitStack) -> "Worker":
        """Open what a worker needs; raise `SettingsError` where it cannot be had."""
        watch = DependencyWatch(settings, Telemetry(service=settings.service), clock=time.monotonic)
        try:
            aws = await stack.enter_async_context(clients(settings))
        except (BotoCoreError, ValueError) as error:  # the latter: an endpoint URL that is none
            raise SettingsError(f"AWS is not configured: {error}") from error
        queue = await watch.dependency("sqs").call(lambda: _open_queue(aws, settings), work="start")
        if queue.dead_letter_url is None:
            log.warning("queue.has_no_dead_letter_queue", cure="give the queue a redrive policy")
        executor = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decoder")
        stack.callback(executor.shutdown, wait=False, cancel_futures=True)
        stack.callback(sandbox.end)
        return cls(settings, aws, queue, executor, watch)

    @property
    def poll_limit_s(self) -> float:
        """Time without a poll after which the poller counts as stuck, seconds."""
        return 2 * (self._settings.receive_wait_s + self._settings.call_timeout_s) + 30

    def stop(self) -> None:
        """Stop polling, finish what is in flight, and end."""
        self.stopping = True
        self.consumer.stop()

    async def run(self) -> None:
        """Work until stopped; raise what died, if something did."""
        async with asyncio.TaskGroup() as group:
            sides = [group.create_task(_for_ever(name, side), name=name) for name, side in self._sides()]
            await self._listen()
            log.info("worker.started", endpoint=self._settings.endpoint, max_in_flight=self._settings.max_in_flight)
            try:
                await self.consumer.run()
            finally:
                for side in sides:
                    side.cancel()
                await self._http.cleanup()
        log.info("worker.stopped")

    def _sides(self) -> Iterator[tuple[str, Awaitable[None]]]:
        yield "lease-keeper", self._keeper.run()
        yield "settler", self._settler.run()
        yield "watchdog", self._watchdog()
        if self._protection:
            yield "protection", self._protection.run()
        if "ECS_CONTAINER_METADATA_URI_V4" in os.environ:
            yield "metrics", self.telemetry.emit()

    async def _watchdog(self) -> None:
        """Raise when the poller has not polled though nothing kept it from it."""
        while True:
            await asyncio.sleep(min(5.0, self.poll_limit_s / 4))
            since = self._clock() - self.consumer.progress_at
            if not self.stopping and since > self.poll_limit_s:
                raise PollerStuckError(f"no poll for {since:.0f} s")

    async def _listen(self) -> None:
        """Serve health and metrics."""
        app = web.Application()
        vitals = health.Vitals(
            clock=self._clock,
            last_progress=lambda: self.consumer.progress_at,
            poll_limit_s=self.poll_limit_s,
            breakers=self._watch.breakers,
            in_flight=lambda: self.consumer.in_flight,
            limit=lambda: self.limiter.limit,
            stopping=lambda: self.stopping,
        )
        health.add_routes(app, vitals, self.telemetry)
        if self._settings.console:
            from worker.console import routes

            await routes.add_routes(app, self._console_context())
        self._http = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=HTTP_GRACE_S)
        await self._http.setup()
        host, port = self._settings.http_host, self._settings.http_port
        try:
            await web.TCPSite(self._http, host, port).start()
        except OSError as error:
            raise SettingsError(
                f"RECEIPTS_HTTP_PORT: {host}:{port} cannot be listened on ({error.strerror}); 0 takes a free port"
            ) from error

    def _console_context(self) -> "ConsoleContext":
        from worker.console.api import ConsoleContext
        from worker.console.fleet import Fleet
        from worker.console.live import Live, QueueDepth

        depth = QueueDepth(self._aws.sqs, self._queue.url, self._queue.dead_letter_url)
        live = Live(depth, self.telemetry, Fleet().count)
        return ConsoleContext(settings=self._settings, aws=self._aws, depth=depth, live=live)


class DependencyWatch:
    """The dependencies of a worker, each with its breaker, and what is told about them."""

    def __init__(self, settings: Settings, telemetry: Telemetry, *, clock: Callable[[], float]) -> None:
        self.telemetry = telemetry
        breaking = BreakerPolicy(failures=settings.breaker_failures, probe_s=settings.breaker_probe_s)
        retrying = RetryPolicy(attempts=settings.call_attempts, base_s=settings.call_base_s, cap_s=settings.call_cap_s)
        self._dependencies = {}
        for name in ("sqs", "s3", "sagemaker", "dynamodb"):
            breaker = Breaker(name, breaking, clock=clock, on_change=self._changed)
            self._dependencies[name] = Dependency(name, breaker, retrying, on_fault=self._fault)
            telemetry.breaker(name, is_open=False)

    def dependency(self, name: str) -> Dependency:
        """Return one of "sqs", "s3", "sagemaker", "dynamodb"."""
        return self._dependencies[name]

    @property
    def breakers(self) -> list[Breaker]:
        """Return every breaker."""
        return [dependency.breaker for dependency in self._dependencies.values()]

    def _changed(self, breaker: Breaker) -> None:
        self.telemetry.breaker(breaker.name, is_open=breaker.open)
        log.warning("breaker.opened" if breaker.open else "breaker.closed", breaker=breaker.name, reason=breaker.reason)

    def _fault(self, fault: DependencyFault) -> None:
        throttled = isinstance(fault, Throttled)
        self.telemetry.count("Throttles" if throttled else "Faults")
        log.debug("dependency.fault", dependency=fault.dependency, reason=fault.reason, detail=fault.detail)


class _Watcher:
    """Turns what the consumer does into metrics, log lines and task protection."""

    def __init__(self, telemetry: Telemetry, protection: TaskProtection | None) -> None:
        self._telemetry = telemetry
        self._protection = protection

    def received(self, _requested: int, _got: int) -> None:
        self._telemetry.count("Receives")

    def busy(self, in_flight: int) -> None:
        if self._protection:
            self._protection.busy(in_flight)

    def finished(self, received: Received, outcome: Outcome, duration_s: float) -> None:
        match outcome:
            case Retry():
                self._telemetry.count("Retried")
            case DeadLetter():
                self._telemetry.count("DeadLettered")
            case Release():
                self._telemetry.count("Released")
        age_s = max(0.0, time.time() - received.sent_at) if received.sent_at else None
        if age_s is not None:
            self._telemetry.age(age_s)
        if isinstance(outcome, Release):  # what came to an end has its line already
            log.info(
                "message.released",
                message_id=received.message_id,
                outcome="release",
                reason=outcome.reason,
                receives=received.receives,
                ms=round(duration_s * 1000),
            )


async def _open_queue(aws: Clients, settings: Settings) -> Queue:
    """Open the queue; refuse to start where a person has to mend the settings first."""
    url = settings.queue_url or ""
    try:
        return await open_queue(aws.sqs, url, max_receive_count=settings.max_receive_count)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in QUEUE_MISSING:
            raise SettingsError(f"RECEIPTS_QUEUE_URL names no queue: {url}") from error
        raise
    except NoCredentialsError as error:
        raise SettingsError("There are no AWS credentials: give the task a role, or set AWS_PROFILE") from error
    except ValueError as error:  # botocore: not a URL
        raise SettingsError(f"RECEIPTS_QUEUE_URL is no URL of a queue: {url}") from error


async def _for_ever(name: str, side: Awaitable[None]) -> None:
    await side
    raise RuntimeError(f"{name} ended by itself")


def _limiter(settings: Settings, clock: Callable[[], float]) -> Limiter:
    if settings.invocations is not None:
        return Limiter(clock=clock, fixed=settings.invocations)
    most = settings.max_in_flight
    return Limiter(clock=clock, policy=LimitPolicy(most=most, start=min(STARTING_INVOCATIONS, most)))


def _pipeline(
    settings: Settings, aws: Clients, executor: Executor, watch: DependencyWatch, limiter: Limiter
) -> Pipeline:
    s3, dynamodb = watch.dependency("s3"), watch.dependency("dynamodb")
    target = EndpointTarget(
        endpoint=settings.endpoint or "",
        variant=settings.target_variant,
        model=settings.target_model,
        inference_component=settings.inference_component,
        body_limit=settings.endpoint_body_limit,
    )
    endpoint = Endpoint(
        aws.sagemaker,
        target,
        protocols.make(settings),
        dependency=watch.dependency("sagemaker"),
        limiter=limiter,
        on_call=lambda: watch.telemetry.count("Invocations"),
    )
    policy = PipelinePolicy(
        images=ImageLimits.of(settings),
        upload_limit_bytes=round(settings.upload_limit_mib * MIB),
        fetch_s=settings.call_timeout_s + settings.upload_limit_mib / FETCH_MIB_PER_S,
        claim_s=settings.endpoint_timeout_s + CLAIM_MARGIN_S,
    )
    records = RecordMaker(review_threshold=settings.review_threshold, expire_days=settings.expire_days, clock=time.time)
    return Pipeline(
        s3=aws.s3,
        s3_dependency=s3,
        store=ResultsStore(aws.dynamodb, settings.table, dynamodb),
        duplicates=Duplicates(aws.dynamodb, settings.table),
        endpoint=endpoint,
        offload=Offload(aws.s3, s3),
        executor=executor,
        budget=ByteBudget(settings.memory_mib * MIB),
        policy=policy,
        records=records,
        telemetry=watch.telemetry,
    )
