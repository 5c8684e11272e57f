"""The embedded reader or an endpoint, called as a worker calls it: with prepared pictures and the same protocols."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from worker.errors import DependencyFault, Failed, ReceiptsError
from worker.extraction.pages import ImageLimits, Prepared
from worker.extraction.protocols.base import UnusableAnswer, naming_unsent_pages
from worker.extraction.protocols.image import ImageProtocol
from worker.extraction.sandbox import prepare
from worker.receipts.receipt import Reading
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.resilience.faults import SuspectFault
from worker.resilience.limiter import Limiter
from worker.settings import Settings

Read = Callable[[bytes], Awaitable[Reading]]
"""Reads an uploaded file. Raises `Rejected` for a file that is not a picture, another `ReasonedError` for one that
could not be read, and a plain `ReceiptsError` if no file can be read."""


@asynccontextmanager
async def embedded(settings: Settings, *, processes: int) -> AsyncIterator[Read]:
    """Yield a function that reads with the embedded reader in `processes` processes on this machine."""
    from worker.reader.invocation import BadCallError, answer
    from worker.reader.pool import Pool

    protocol = ImageProtocol()
    pool = Pool(processes=processes, threads=1, waiting=1_000)
    pool.start()
    try:
        await pool.wait_ready()

        async def read(data: bytes) -> Reading:
            prepared = await _prepared(data, settings)
            request = protocol.request(prepared)
            try:
                found = protocol.read(await pool.run(answer, request.body, request.content_type))
            except (BadCallError, UnusableAnswer) as error:
                raise Failed("unusable_answer", str(error)) from error
            return naming_unsent_pages(found, prepared)

        yield read
    finally:
        await pool.stop()


@asynccontextmanager
async def endpoint(settings: Settings, name: str, *, calls: int) -> AsyncIterator[Read]:
    """Yield a function that reads with the SageMaker endpoint `name`, with at most `calls` concurrent calls.

    All else follows `settings`.
    """
    from worker.aws.clients import clients
    from worker.runtime.build import build_endpoint

    async with clients(settings) as aws:
        # A worker waits out an outage behind its breaker. An evaluation reports it instead, so its breaker never opens.
        breaker = Breaker("sagemaker", BreakerPolicy(failures=sys.maxsize), clock=time.monotonic)
        retrying = RetryPolicy(attempts=settings.call_attempts, base_s=settings.call_base_s, cap_s=settings.call_cap_s)
        target = build_endpoint(
            settings.model_copy(update={"endpoint": name}),
            aws,
            dependency=Dependency("sagemaker", breaker, retrying),
            limiter=Limiter(clock=time.monotonic, fixed=calls),
        )

        answered = False

        async def read(data: bytes) -> Reading:
            nonlocal answered
            prepared = await _prepared(data, settings)
            try:
                reading = (await target.read(prepared, work="evaluation", before_call=_no_op)).reading
            except DependencyFault as fault:
                if answered or isinstance(fault, SuspectFault):
                    raise
                raise ReceiptsError(f"The endpoint {name} does not answer: {fault}") from fault
            answered = True
            return reading

        yield read


async def _prepared(data: bytes, settings: Settings) -> Prepared:
    return await asyncio.to_thread(prepare, data, ImageLimits.of(settings))


async def _no_op() -> None:
    return None
