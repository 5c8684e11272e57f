"""`receipts worker` as a process: event loop, logging, signals, garbage collection and exit codes."""

import asyncio
import gc
import resource
from collections.abc import Iterator

import structlog
import uvloop

from worker.errors import SettingsError
from worker.runtime.worker import Worker
from worker.settings import Settings
from worker.telemetry import configure_logging

log = structlog.get_logger(__name__)

DESCRIPTORS_PER_MESSAGE = 3
"""A message in flight has at most one connection to S3, DynamoDB and SageMaker at a time, or pipes to the sandbox."""
DESCRIPTORS_OF_A_WORKER = 48
"""Standard streams, event loop, HTTP server, and connections to SQS, measured at about 30."""
YOUNG_OBJECTS = 10_000
"""Net allocations after which the collector looks for cycles; Python's default is 700."""


def run(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; return its exit code: 0 after a clean stop, 1 after a failure.

    Raises `SettingsError` if the settings cannot work.
    """
    settings.require("queue_url", "endpoint")
    _raise_descriptor_limit(settings)
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


async def _serve(settings: Settings) -> None:
    async with Worker(settings, install_signal_handlers=True) as worker:
        _tune_collector()
        await worker.run()


def _tune_collector() -> None:
    """Let the garbage collector skip everything that was imported, and run seldom.

    With Python's defaults it takes a tenth of the CPU time of a receipt.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 10)
    gc.enable()


def _raise_descriptor_limit(settings: Settings) -> None:
    """Raise the soft limit of file descriptors to the hard limit; refuse a `max_in_flight` that needs more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = settings.max_in_flight * DESCRIPTORS_PER_MESSAGE + DESCRIPTORS_OF_A_WORKER
    if hard != resource.RLIM_INFINITY and hard < needed:
        most = (hard - DESCRIPTORS_OF_A_WORKER) // DESCRIPTORS_PER_MESSAGE
        smaller = f", or set at most {most}" if most >= 1 else ""
        raise SettingsError(
            f"RECEIPTS_MAX_IN_FLIGHT: {settings.max_in_flight} messages need about {needed} file descriptors, but "
            f"the process may open {hard}. Raise that limit (nofile of the container){smaller}."
        )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
