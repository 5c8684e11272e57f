"""The end of a consumer whose parts fail: nothing is lost, and no task is left."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support import virtual
from tests.support.memory_queue import MemoryQueue
from worker.messages.consumer import Consumer, ConsumerPolicy
from worker.messages.leases import Lease, LeaseKeeper, LeasePolicy
from worker.messages.outcomes import Done, Outcome
from worker.messages.permits import Permits
from worker.messages.queue import Received
from worker.messages.settlement import SettlementPolicy, Settler
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy


class Watcher:
    """An observer that records nothing."""

    def received(self) -> None: ...

    def busy(self, in_flight: int) -> None: ...

    def finished(self, received: Received, outcome: Outcome, duration_s: float) -> None: ...


async def consume(
    queue: MemoryQueue, work: Callable[[Received, Lease], Awaitable[Outcome]], *, permits: int = 4
) -> None:
    """Run a consumer with its lease keeper and settler until it ends by itself or is cancelled."""
    leases = LeaseKeeper(queue, LeasePolicy(), clock=virtual.now)
    settler = Settler(queue, SettlementPolicy())
    sqs = Dependency("sqs", Breaker("sqs", BreakerPolicy(), clock=virtual.now), RetryPolicy())
    consumer = Consumer(
        queue,
        work,
        permits=Permits(permits),
        leases=leases,
        settler=settler,
        sqs=sqs,
        breakers=[],
        policy=ConsumerPolicy(),
        watcher=Watcher(),
        clock=virtual.now,
    )
    sides = [asyncio.create_task(side) for side in (leases.run(), settler.run())]
    try:
        await consumer.run()
    finally:
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)


def test_a_poller_that_fails_lets_the_work_in_flight_finish() -> None:
    """An error that no one expects ends the worker, after the messages in flight are settled or handed back."""

    async def main() -> MemoryQueue:
        queue = MemoryQueue()
        queue.put("quick", "slow")
        receives = 0

        def fails(call: str) -> Exception | None:
            nonlocal receives
            receives += call == "receive"
            return KeyError("an unreadable reply") if call == "receive" and receives > 1 else None

        async def work(received: Received, _: Lease) -> Outcome:
            await asyncio.sleep(1 if received.body == "quick" else 1_000)
            return Done()

        queue.fails = fails
        with pytest.raises(KeyError, match="unreadable"):
            await consume(queue, work)
        return queue

    queue = virtual.run(main())
    assert queue.deleted == ["quick"]
    (slow,) = queue.messages
    assert (slow.body, slow.receives) == ("slow", 1)
    assert slow.visible_at <= 30  # it was handed back


def test_a_cancelled_consumer_leaves_no_task() -> None:
    """Whoever runs a consumer in another program can cancel it, and nothing of it runs on."""

    async def main() -> None:
        queue = MemoryQueue(call_s=0.005)
        queue.put(*(str(number) for number in range(25)))

        async def work(_: Received, __: Lease) -> Outcome:
            await asyncio.sleep(1_000)
            return Done()

        running = asyncio.create_task(consume(queue, work, permits=40))
        await asyncio.sleep(1)
        assert any(task.get_name() == "poll-helper" for task in asyncio.all_tasks())
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())


def test_a_poll_helper_that_fails_ends_the_consumer() -> None:
    """An unexpected error in any poll ends the worker after a drain, and no permit is lost on the way."""

    async def main() -> MemoryQueue:
        queue = MemoryQueue(call_s=0.005)
        queue.put(*(str(number) for number in range(25)))

        def fails(call: str) -> Exception | None:
            task = asyncio.current_task()
            helps = task is not None and task.get_name() == "poll-helper"
            return KeyError("an unreadable reply") if call == "receive" and helps else None

        async def work(_: Received, __: Lease) -> Outcome:
            await asyncio.sleep(2)
            return Done()

        queue.fails = fails
        with pytest.raises(KeyError, match="unreadable"):
            await consume(queue, work, permits=40)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return queue

    queue = virtual.run(main())
    assert queue.deleted
    assert len(queue.deleted) + len(queue.messages) == 25
