"""The consumer, in virtual time and with a queue in memory."""

import asyncio
import contextlib
import heapq
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support import virtual
from tests.support.memory_queue import MemoryQueue
from worker.errors import DependencyFault
from worker.messages.consumer import Consumer, ConsumerPolicy
from worker.messages.leases import Lease, LeaseKeeper, LeasePolicy
from worker.messages.outcomes import Done, Outcome, Retry
from worker.messages.permits import Permits
from worker.messages.queue import Received
from worker.messages.settlement import SettlementPolicy, Settler
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.resilience.faults import SuspectFault

HOUR_S = 3_600.0
NEVER_BACK = SettlementPolicy(backoff_base_s=1e6, backoff_cap_s=1e6)
"""Delays that keep a failed message from returning within a test."""
Work = Callable[[Received, Lease], Awaitable[Outcome]]


@dataclass
class Watcher:
    """A watcher that stores the consumer's notifications."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    done_at: dict[str, float] = field(default_factory=dict)

    def received(self) -> None: ...

    def busy(self, in_flight: int) -> None: ...

    def finished(self, received: Received, outcome: Outcome, duration_s: float) -> None:
        self.outcomes[received.body] = outcome
        self.done_at[received.body] = virtual.now()


@dataclass
class Bench:
    """A running consumer with its queue and watcher."""

    queue: MemoryQueue
    consumer: Consumer
    watcher: Watcher
    running: asyncio.Task[None]


def dependency(name: str) -> Dependency:
    """Return a dependency with default settings."""
    return Dependency(name, Breaker(name, BreakerPolicy(), clock=virtual.now), RetryPolicy())


@asynccontextmanager
async def consuming(
    work: Work,
    *,
    slots: int = 20,
    sqs: Dependency | None = None,
    queue: MemoryQueue | None = None,
    settlement: SettlementPolicy | None = None,
    **dependencies: Any,
) -> AsyncIterator[Bench]:
    """Run a consumer, wired as in the worker, until the block ends. It must end cleanly."""
    queue = queue or MemoryQueue(call_s=0.005)
    leases = LeaseKeeper(queue, LeasePolicy(), clock=virtual.now)
    settler = Settler(queue, settlement or SettlementPolicy())
    watcher = Watcher()
    consumer = Consumer(
        queue,
        work,
        permits=Permits(slots),
        leases=leases,
        settler=settler,
        sqs=sqs or dependency("sqs"),
        breakers=[known.breaker for known in dependencies.values()],
        policy=ConsumerPolicy(),
        watcher=watcher,
        clock=virtual.now,
    )
    sides = [asyncio.create_task(side) for side in (leases.run(), settler.run())]
    running = asyncio.create_task(consumer.run())
    try:
        yield Bench(queue, consumer, watcher, running)
        consumer.stop()
        await running
    finally:
        for side in sides:
            side.cancel()


async def until(condition: Callable[[], object], *, within_s: float = 2 * HOUR_S) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.1)


def fifo_s(durations: list[float], slots: int) -> float:
    """Return the total time of `durations` when each starts, in order, as soon as one of `slots` is free."""
    ends = [0.0] * slots
    for duration in durations:
        heapq.heappush(ends, heapq.heappop(ends) + duration)
    return max(ends)


def test_a_slow_receipt_does_not_delay_others() -> None:
    """A hundred messages of 20 ms, every tenth of 2 s, take at most 10 % more than the ideal schedule on 20 slots."""
    durations = [2.0 if number % 10 == 9 else 0.02 for number in range(100)]

    async def work(received: Received, _: Lease) -> Outcome:
        await asyncio.sleep(durations[int(received.body)])
        return Done()

    async def main() -> float:
        async with consuming(work, slots=20) as bench:
            bench.queue.put(*(str(number) for number in range(100)))
            await until(lambda: len(bench.watcher.outcomes) == 100)
            return max(bench.watcher.done_at.values())

    assert virtual.run(main()) <= fifo_s(durations, 20) * 1.1


@pytest.mark.parametrize("seed", range(5))
def test_free_slots_are_refilled_whatever_the_order_of_messages(seed: int) -> None:
    """For any order of long and short messages, the total stays within 10 % of that order's ideal schedule."""
    durations = [2.0 if number % 10 == 9 else 0.02 for number in range(100)]
    random.Random(seed).shuffle(durations)

    async def work(received: Received, _: Lease) -> Outcome:
        await asyncio.sleep(durations[int(received.body)])
        return Done()

    async def main() -> float:
        async with consuming(work, slots=20) as bench:
            bench.queue.put(*(str(number) for number in range(100)))
            await until(lambda: len(bench.watcher.outcomes) == 100)
            return max(bench.watcher.done_at.values())

    assert virtual.run(main()) <= fifo_s(durations, 20) * 1.1


def test_an_idle_worker_makes_few_calls() -> None:
    """An hour without messages takes at most four receives a minute and no other calls."""

    async def work(_: Received, __: Lease) -> Outcome:
        return Done()

    async def main() -> list[str]:
        async with consuming(work) as bench:
            await asyncio.sleep(HOUR_S)
            return [name for _, name in bench.queue.calls]

    calls = virtual.run(main())
    assert set(calls) == {"receive"}
    assert len(calls) <= 4 * 60


def test_nothing_is_received_without_a_free_permit() -> None:
    """While every slot is taken, the consumer does not receive, although messages wait."""

    async def work(_: Received, __: Lease) -> Outcome:
        await asyncio.sleep(20)
        return Done()

    async def main() -> list[float]:
        async with consuming(work, slots=2) as bench:
            bench.queue.put("a", "b", "c")
            await until(lambda: bench.consumer.in_flight == 2)
            since = virtual.now()
            await asyncio.sleep(15)
            return [at for at, name in bench.queue.calls if name == "receive" and at > since]

    assert virtual.run(main()) == []


@pytest.mark.parametrize("slots", [4, 32])
def test_an_hour_of_outage_uses_up_no_receives(slots: int) -> None:
    """Messages stay in flight during an hour of outage, and work resumes within 5 s after it."""
    down = True

    async def main() -> Bench:
        nonlocal down
        s3 = dependency("s3")

        async def fetch() -> None:
            await asyncio.sleep(0.05)
            if down:
                raise ConnectionError

        async def work(received: Received, _: Lease) -> Outcome:
            await s3.call(fetch, work=received.body)
            return Done()

        async with consuming(work, slots=slots, s3=s3) as bench:
            bench.queue.put(*(str(number) for number in range(100)))
            await asyncio.sleep(HOUR_S)
            assert bench.watcher.outcomes == {}
            assert bench.consumer.in_flight <= slots
            down = False
            back = virtual.now()
            await until(lambda: bench.watcher.outcomes)
            assert virtual.now() - back <= 5
            await until(lambda: len(bench.queue.deleted) == 100)
            return bench

    bench = virtual.run(main())
    assert set(bench.queue.receives.values()) == {1}
    assert bench.queue.dead == []


def test_suspects_do_not_prolong_an_outage() -> None:
    """Receipts that always fail do not keep the breaker open after the outage has ended."""
    state = {"down": True}

    async def main() -> Bench:
        model = dependency("sagemaker")

        async def work(received: Received, _: Lease) -> Outcome:
            async def invoke() -> None:
                await asyncio.sleep(0.05)
                if state["down"]:
                    raise ConnectionError
                if received.body.startswith("bad"):
                    raise SuspectFault("sagemaker", "model_error")

            try:
                await model.call(invoke, work=received.body)
            except DependencyFault as fault:
                return Retry(fault.reason)
            return Done()

        async with consuming(work, slots=8, settlement=NEVER_BACK, sagemaker=model) as bench:
            bench.queue.put("bad-1", "bad-2", "bad-3", *(str(number) for number in range(20)))
            await asyncio.sleep(600)
            state["down"] = False
            await until(lambda: len(bench.queue.deleted) == 20, within_s=120)
            return bench

    assert not [body for body in virtual.run(main()).queue.deleted if body.startswith("bad")]


@pytest.mark.parametrize("bad", [1, 2, 5, 8, 12])
def test_receipts_that_always_fail_do_not_block_others(bad: int) -> None:
    """A worker with up to 12 receipts that always fail, on 8 slots, finishes the next good receipt within a minute."""

    async def main() -> float:
        model = dependency("sagemaker")

        async def work(received: Received, _: Lease) -> Outcome:
            async def invoke() -> None:
                await asyncio.sleep(0.05)
                if received.body.startswith("bad"):
                    raise SuspectFault("sagemaker", "model_error")

            try:
                await model.call(invoke, work=received.body)
            except DependencyFault as fault:
                return Retry(fault.reason)
            return Done()

        async with consuming(work, slots=8, settlement=NEVER_BACK, sagemaker=model) as bench:
            bench.queue.put(*(f"bad-{number}" for number in range(bad)))
            await asyncio.sleep(600)
            assert bench.watcher.outcomes == {}  # no success has shown yet that the model is healthy
            came = virtual.now()
            bench.queue.put("good")
            await until(lambda: "good" in bench.watcher.done_at)
            return bench.watcher.done_at["good"] - came

    assert virtual.run(main()) <= 60


@pytest.mark.parametrize("waits_for_claim", [False, True])
def test_copies_of_a_receipt_that_always_fails_do_not_block_others(*, waits_for_claim: bool) -> None:
    """Copies of a message that always fails do not block others, whether they run together or wait for the claim."""

    async def main() -> float:
        model = dependency("sagemaker")
        claim = asyncio.Lock()

        async def work(received: Received, _: Lease) -> Outcome:
            async def invoke() -> None:
                await asyncio.sleep(0.05)
                if received.body == "bad":
                    raise SuspectFault("sagemaker", "model_error")

            held = claim if waits_for_claim and received.body == "bad" else contextlib.nullcontext()
            try:
                async with held:
                    await model.call(invoke, work=received.body)
            except DependencyFault as fault:
                return Retry(fault.reason)
            return Done()

        async with consuming(work, slots=8, settlement=NEVER_BACK, sagemaker=model) as bench:
            bench.queue.put("bad", "bad", "bad")
            await asyncio.sleep(600)
            came = virtual.now()
            bench.queue.put("good")
            await until(lambda: "good" in bench.watcher.done_at)
            return bench.watcher.done_at["good"] - came

    assert virtual.run(main()) <= 60


def test_failing_calls_to_sqs_do_not_end_the_worker() -> None:
    """When every second call to SQS fails, all messages are still processed."""
    made = 0

    def fails(name: str) -> Exception | None:
        nonlocal made
        made += 1
        return ConnectionError() if made % 2 else None

    async def work(_: Received, __: Lease) -> Outcome:
        await asyncio.sleep(0.5)
        return Done()

    async def main() -> list[str]:
        async with consuming(work, queue=MemoryQueue(call_s=0.005, fails=fails)) as bench:
            bench.queue.put(*(str(number) for number in range(50)))
            await until(lambda: len(bench.queue.deleted) == 50)
            return bench.queue.deleted

    assert len(virtual.run(main())) == 50


def test_a_poller_of_a_queue_that_hangs_does_not_count_as_stuck() -> None:
    """While every receive times out after 35 s, the poller still reports progress at least every 50 s."""

    async def work(_: Received, __: Lease) -> Outcome:
        return Done()

    async def main() -> float:
        queue = MemoryQueue(call_s=35, fails=lambda _: TimeoutError())
        async with consuming(work, queue=queue) as bench:
            since = 0.0
            for _ in range(600):
                await asyncio.sleep(1)
                since = max(since, virtual.now() - bench.consumer.progress_at)
            return since

    assert virtual.run(main()) <= 50


def test_a_receive_that_uses_up_its_attempts_counts_as_empty() -> None:
    """The poller goes on after a receive that has used up its attempts, and takes the message later."""
    failing = True

    async def main() -> list[str]:
        nonlocal failing
        impatient = Dependency(
            "sqs", Breaker("sqs", BreakerPolicy(failures=100), clock=virtual.now), RetryPolicy(attempts=2)
        )

        async def work(_: Received, __: Lease) -> Outcome:
            return Done()

        queue = MemoryQueue(call_s=0.005, fails=lambda _: ConnectionError() if failing else None)
        async with consuming(work, queue=queue, sqs=impatient) as bench:
            queue.put("a")
            await asyncio.sleep(10)
            failing = False
            await until(lambda: queue.deleted)
            assert not bench.running.done()
            return queue.deleted

    assert virtual.run(main()) == ["a"]


def test_a_cancelled_consumer_does_not_wait_for_its_messages() -> None:
    """A consumer that is cancelled because another task died ends although messages are in flight."""

    async def work(_: Received, __: Lease) -> Outcome:
        await asyncio.sleep(HOUR_S)
        return Done()

    async def main() -> None:
        queue = MemoryQueue()
        leases = LeaseKeeper(queue, LeasePolicy(), clock=virtual.now)
        consumer = Consumer(
            queue,
            work,
            permits=Permits(4),
            leases=leases,
            settler=Settler(queue, SettlementPolicy()),
            sqs=dependency("sqs"),
            breakers=[],
            policy=ConsumerPolicy(),
            watcher=Watcher(),
            clock=virtual.now,
        )
        queue.put("a", "b")
        running = asyncio.create_task(consumer.run())
        await until(lambda: consumer.in_flight == 2)
        running.cancel()
        await asyncio.wait({running})

    virtual.run(
        main()
    )  # the runner cancels the remaining tasks and awaits them; the virtual loop raises Deadlock on a hang
