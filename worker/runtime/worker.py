"""The worker as an object that any asyncio program can run.

    async with Worker(settings) as worker:
        await worker.run()

It does not configure logging, signals or the garbage collector. `worker.runtime.process` does, for `receipts worker`.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

import structlog
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from worker.aws.clients import Clients, clients
from worker.errors import ReceiptsError, SettingsError
from worker.extraction.sandbox import Sandbox
from worker.messages.queue import Queue, open_queue
from worker.resilience.sync import is_being_cancelled
from worker.runtime import health
from worker.runtime.build import Dependencies, Parts, build
from worker.settings import Settings
from worker.telemetry import Telemetry

if TYPE_CHECKING:
    from worker.console.api import ConsoleContext

log = structlog.get_logger(__name__)

HTTP_GRACE_S = 0.5
"""Time that running HTTP requests get at the end, seconds; aiohttp waits at most twice as long."""
QUEUE_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})


class PollerStuckError(ReceiptsError):
    """The poller has not polled for too long, without a known reason."""


class Worker:
    """One worker. Use it as an async context manager, which opens and closes its AWS clients.

    Several workers can run in one program; give each its own `http_port`, or 0 for any free port.
    """

    def __init__(self, settings: Settings, *, install_signal_handlers: bool = False) -> None:
        """Raise `SettingsError` if a required setting is missing.

        With `install_signal_handlers`, the first SIGTERM or SIGINT stops the worker; the second ends the process.
        At most one worker in a program may install them.
        """
        settings.require("queue_url", "endpoint")
        self._settings = settings
        self._handle_signals = install_signal_handlers
        self._clock = time.monotonic
        self._exits = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Task[None] | None = None
        self._parts: Parts | None = None
        self._http: web.AppRunner | None = None
        self._aws: Clients
        self._stopping = self._signalled = False
        self.telemetry = Telemetry(service=settings.service)
        self._dependencies = Dependencies(settings, self.telemetry)

    async def __aenter__(self) -> Self:
        """Open clients, the HTTP server and the queue; wait while SQS is unavailable, until `stop` is called.

        Raises `SettingsError` if AWS is not configured, the port is taken, or the queue does not exist.
        """
        self._loop = asyncio.get_running_loop()
        if self._handle_signals:
            self._exits.callback(self._remove_signal_handlers)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._on_signal, number)
        self._opening = asyncio.create_task(self._open(), name="open-worker")
        try:
            if self._stopping:
                self._opening.cancel()
            await self._opening
        except asyncio.CancelledError:
            # `stop` cancels only the opening; a cancellation of the caller must reach the caller.
            if not self._stopping or is_being_cancelled():
                await self._exits.aclose()
                raise
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._parts = None
        await self._exits.aclose()

    async def run(self) -> None:
        """Work until `stop` is called, then drain and return.

        If a part of the worker fails, drain nothing and raise its error. A cancellation drains first.
        """
        if self._parts is None and self._opening and self._stopping:  # `stop` was called before the worker was open
            log.info("worker.stopped")
            return
        work = asyncio.create_task(self._run(self.parts), name="worker")
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            raise

    def stop(self) -> None:
        """Stop polling, finish or hand back what is in flight, and let `run` return.

        Safe to call from any thread, from a signal handler, before `run`, and more than once.
        """
        self._stopping = True  # before the look at the loop, so that an opening in another thread sees one or the other
        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and so is the worker
                self._loop.call_soon_threadsafe(self._stop)

    @property
    def parts(self) -> Parts:
        """The objects of the open worker; a `RuntimeError` if it is not open."""
        if self._parts is None:
            raise RuntimeError("the worker is not open: use it as `async with Worker(settings) as worker`")
        return self._parts

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of health, metrics and console."""
        addresses = self._http.addresses if self._http else []
        return (str(addresses[0][0]), int(addresses[0][1])) if addresses else None

    @property
    def poll_limit_s(self) -> float:
        """Seconds without a poll after which the poller counts as stuck."""
        return 2 * (self._settings.receive_wait_s + self._settings.call_timeout_s) + 30

    def _stop(self) -> None:
        self._stopping = True
        if self._parts:
            self._parts.consumer.stop()
        elif self._opening:
            self._opening.cancel()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._signalled:
            os._exit(128 + number)
        self._signalled = True
        log.info("worker.stopping", signal=number.name)
        self._stop()

    def _remove_signal_handlers(self) -> None:
        assert self._loop is not None  # noqa: S101 - it was set before they were installed
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.remove_signal_handler(number)

    async def _open(self) -> None:
        settings, stack = self._settings, self._exits
        try:
            self._aws = await stack.enter_async_context(clients(settings))
        except NoRegionError as error:
            raise SettingsError("No AWS region is set. Set AWS_REGION, such as AWS_REGION=eu-central-1.") from error
        except (BotoCoreError, ValueError) as error:  # ValueError: the URL of an endpoint is not valid
            raise SettingsError(f"AWS is not configured: {error}") from error
        await self._listen()  # before the queue is there, so that health says why the worker waits
        sqs = self._dependencies["sqs"]
        queue = await sqs.call(lambda: _open_queue(self._aws, settings), work="start")
        if queue.dead_letter_url is None:
            log.warning("queue.has_no_dead_letter_queue", fix="give the queue a redrive policy")
        executor = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decoder")
        stack.callback(executor.shutdown, wait=False, cancel_futures=True)
        sandbox = Sandbox()
        stack.callback(sandbox.end)
        self._parts = build(
            settings,
            self._aws,
            queue,
            executor,
            telemetry=self.telemetry,
            sandbox=sandbox,
            dependencies=self._dependencies,
        )
        self._report_levels(self._parts)

    def _report_levels(self, parts: Parts) -> None:
        consumer, limiter = parts.consumer, parts.limiter
        self.telemetry.level("InFlight", lambda: consumer.in_flight)
        self.telemetry.level("InvocationLimit", lambda: limiter.limit)
        self.telemetry.level("Invoking", lambda: limiter.running)
        self.telemetry.level("SecondsSinceReceive", lambda: round(self._clock() - consumer.progress_at, 1))

    async def _run(self, parts: Parts) -> None:
        if self._stopping:
            parts.consumer.stop()
        async with asyncio.TaskGroup() as group:
            sides = [group.create_task(_endless(name, side), name=name) for name, side in self._sides(parts)]
            log.info("worker.started", endpoint=self._settings.endpoint, max_in_flight=self._settings.max_in_flight)
            try:
                await parts.consumer.run()
            finally:
                for side in sides:
                    side.cancel()
        log.info("worker.stopped")

    def _sides(self, parts: Parts) -> Iterator[tuple[str, Awaitable[None]]]:
        """Yield the side tasks. If one of them ends, the worker ends with an error: it never works half."""
        yield "lease-keeper", parts.keeper.run()
        yield "settler", parts.settler.run()
        yield "watchdog", self._watchdog(parts)
        if parts.protection:
            yield "protection", parts.protection.run()
        if "ECS_CONTAINER_METADATA_URI_V4" in os.environ:
            yield "metrics", self.telemetry.emit()

    async def _watchdog(self, parts: Parts) -> None:
        """Raise `PollerStuckError` if the poller has not polled for too long, without a known reason."""
        while True:
            await asyncio.sleep(min(5.0, self.poll_limit_s / 4))
            since = self._clock() - parts.consumer.progress_at
            if not self._stopping and since > self.poll_limit_s:
                raise PollerStuckError(f"no poll for {since:.0f} s")

    async def _listen(self) -> None:
        """Serve health, metrics and, if the settings say so, the console, until the worker is closed."""
        app = web.Application()
        vitals = health.Vitals(
            clock=self._clock,
            last_progress=lambda: self._parts.consumer.progress_at if self._parts else self._clock(),
            poll_limit_s=self.poll_limit_s,
            breakers=self._dependencies.breakers,
            in_flight=lambda: self._parts.consumer.in_flight if self._parts else 0,
            limit=lambda: self._parts.limiter.limit if self._parts else 0,
            stopping=lambda: self._stopping,
            started=lambda: self._parts is not None,
        )
        health.add_routes(app, vitals, self.telemetry)
        if self._settings.console:
            from worker.console import routes

            await routes.add_routes(app, self._console_context())
        self._http = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=HTTP_GRACE_S)
        self._exits.push_async_callback(self._http.cleanup)
        await self._http.setup()
        host, port = self._settings.http_host, self._settings.http_port
        try:
            await web.TCPSite(self._http, host, port).start()
        except OSError as error:
            raise SettingsError(
                f"RECEIPTS_HTTP_PORT: cannot listen on {host}:{port} ({error.strerror}). Set another port, "
                "or 0 for any free port."
            ) from error

    def _console_context(self) -> "ConsoleContext":
        from worker.console.api import ConsoleContext
        from worker.console.fleet import Fleet
        from worker.console.live import Live, QueueDepth

        depth = QueueDepth(self._aws.sqs, self._settings.queue_url or "")
        live = Live(depth, self.telemetry, Fleet().count)
        return ConsoleContext(settings=self._settings, aws=self._aws, depth=depth, live=live)


async def _open_queue(aws: Clients, settings: Settings) -> Queue:
    """Open the queue; raise `SettingsError` if a person must change a setting first."""
    url = settings.queue_url or ""
    try:
        return await open_queue(aws.sqs, url, max_receive_count=settings.max_receive_count)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in QUEUE_MISSING:
            raise SettingsError(
                f"RECEIPTS_QUEUE_URL: the queue {url} does not exist. Check its name, account and region."
            ) from error
        raise
    except NoCredentialsError as error:
        raise SettingsError("There are no AWS credentials: give the task a role, or set AWS_PROFILE.") from error
    except ValueError as error:  # botocore: not a URL
        raise SettingsError(f"RECEIPTS_QUEUE_URL: {url} is not the URL of a queue") from error


async def _endless(name: str, side: Awaitable[None]) -> None:
    """Run a side task; raise if it ends for any reason but our own cancellation."""
    try:
        await side
    except asyncio.CancelledError:
        if is_being_cancelled():
            raise
    raise RuntimeError(f"{name} ended by itself")
