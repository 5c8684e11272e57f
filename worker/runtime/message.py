"""The work on one message: parse it, work on each upload that it names, and combine their outcomes."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from worker.errors import Malformed
from worker.messages.outcomes import DeadLetter, Done, Outcome, Release, combine
from worker.messages.parse import parse
from worker.messages.queue import Queue
from worker.runtime.job import Job
from worker.runtime.pipeline import Pipeline
from worker.telemetry import Telemetry

if TYPE_CHECKING:
    from worker.messages.leases import Lease
    from worker.messages.queue import Received

log = structlog.get_logger(__name__)


class MessageHandler:
    """Works on messages; concurrent calls are independent."""

    def __init__(
        self,
        queue: Queue,
        pipeline: Pipeline,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self._queue = queue
        self._pipeline = pipeline
        self._telemetry = telemetry
        self._clock = clock

    async def __call__(self, received: "Received", lease: "Lease") -> Outcome:
        """Work on every upload that the message names; return the outcome of the message."""
        age_s = round(self._clock() - received.sent_at, 1) if received.sent_at else None
        with structlog.contextvars.bound_contextvars(
            message_id=received.message_id, receives=received.receives, age_s=age_s
        ):
            return await self._handle(received, lease)

    async def _handle(self, received: "Received", lease: "Lease") -> Outcome:
        try:
            message = parse(received.body)
        except Malformed as error:
            log.warning("message.malformed", outcome="deadletter", reason=error.reason, detail=error.detail)
            return DeadLetter(error.reason)
        if message.ignored:
            self._telemetry.count("Ignored")
            log.info("message.ignored", outcome="done", reason=message.ignored)
            return Done("ignored", message.ignored)
        last_receive = self._queue.is_last_receive(received)
        outcomes: list[Outcome] = []
        for upload in message.uploads:
            job = Job(upload, lease, last_receive)
            may_be_known = received.receives > 1 or upload.replay_id is not None
            outcomes.append(await self._pipeline.process(job, may_be_known=may_be_known))
            if isinstance(outcomes[-1], Release):
                break
        if message.malformed:
            outcomes.append(DeadLetter(message.malformed))
        return combine(outcomes)
