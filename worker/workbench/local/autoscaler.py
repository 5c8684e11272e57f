"""Autoscaling of the local workers, by the same policy that Terraform's alarms are derived from.

It treats processes as ECS treats tasks. A worker starts as on AWS, and a surplus worker gets SIGTERM and drains. It
reads the queue itself every second, so its numbers are current.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.workbench.scaling.policy import Backlog, ScalingPolicy, desired_tasks, stabilised

if TYPE_CHECKING:
    from worker.workbench.local.processes import Child
    from worker.workbench.local.stack import Stack

LOOK_S = 1.0
SCALE_IN_AFTER_S = 20.0
"""Shorter than on AWS, because a process starts in a second and a task in a minute."""
RECEIPT_S = 2.0
"""Approximate time that the embedded reader takes for a receipt under load."""
ACCEPTABLE_LATENCY_S = 10.0


def local_policy(*, least: int, most: int, slots: int) -> ScalingPolicy:
    """Return the policy for worker processes of `slots` receipts each."""
    return ScalingPolicy(
        receipt_s=RECEIPT_S,
        slots_per_task=slots,
        acceptable_latency_s=ACCEPTABLE_LATENCY_S,
        min_tasks=least,
        max_tasks=most,
    )


@dataclass
class Window:
    """The recently desired numbers of workers."""

    length_s: float
    wanted: deque[tuple[float, int]] = field(default_factory=deque)

    def settle(self, now_s: float, wanted: int) -> int:
        """Record the number wanted now; return the number to run: more immediately, fewer after the whole window."""
        self.wanted.append((now_s, wanted))
        while self.wanted[0][0] <= now_s - self.length_s:
            self.wanted.popleft()
        return stabilised(workers for _, workers in self.wanted)


class Autoscaler:
    """An autoscaler that starts and stops the workers of a stack. It reports each change to `tell`."""

    def __init__(
        self,
        stack: "Stack",
        policy: ScalingPolicy,
        *,
        tell: Callable[[str], None],
        scale_in_after_s: float = SCALE_IN_AFTER_S,
        look_s: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stack = stack
        self._policy = policy
        self._tell = tell
        self._window = Window(scale_in_after_s)
        self._look_s = look_s
        self._clock = clock
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Follow the queue until cancelled."""
        try:
            while True:
                backlog = await self.backlog()
                wanted = desired_tasks(backlog, self._policy)
                await self._resize(self._window.settle(self._clock(), wanted), backlog)
                await asyncio.sleep(self._look_s)
        finally:
            await asyncio.gather(*self._ending, return_exceptions=True)

    async def backlog(self) -> Backlog:
        """Return the number of messages in the queue, waiting and in flight."""
        answer = await self._stack.clients.sqs.get_queue_attributes(
            QueueUrl=self._stack.resources.queue_url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        counts = answer["Attributes"]
        return Backlog(
            visible=int(counts["ApproximateNumberOfMessages"]),
            in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
        )

    async def _resize(self, wanted: int, backlog: Backlog) -> None:
        running = len(self._stack.workers)
        if wanted == running:
            return
        self._tell(f"Workers: {running} to {wanted} ({backlog.visible} waiting, {backlog.in_flight} in flight).")
        for child in self._stack.workers[wanted:]:  # stop the newest: the first one serves the console
            task = asyncio.create_task(self._end(child), name=f"stop {child.name}")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        for _ in range(wanted - running):
            await self._stack.add_worker()

    async def _end(self, child: "Child") -> None:
        if child in self._stack.workers:  # otherwise it has just ended by itself
            await self._stack.stop_worker(child)
