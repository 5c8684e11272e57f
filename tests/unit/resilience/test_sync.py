"""Waiting: a fair queue, an event with a time limit, and work that outlives a cancellation."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import now, settle_down, virtual
from worker.resilience.sync import FairQueue, finish_within, is_being_cancelled, wait_for


class Pool:
    """An amount that is handed out by a fair queue."""

    def __init__(self, most: int) -> None:
        self.free = most
        self.queue = FairQueue(self._try_take, self.give_back)

    def _try_take(self, wanted: int) -> int | None:
        if wanted > self.free:
            return None
        self.free -= wanted
        return wanted

    def give_back(self, amount: int) -> None:
        self.free += amount
        self.queue.serve()


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 2), st.none() | st.floats(0, 3)), max_size=15))
@virtual
async def test_nothing_is_lost_and_nobody_overtakes(requests: list[tuple[int, float, float | None]]) -> None:
    """Whatever is requested and cancelled, all of it is free in the end, and waiters are served in order."""
    pool, served = Pool(5), []

    async def use(number: int, amount: int, seconds: float) -> None:
        taken = await pool.queue.take(amount)
        served.append(number)
        await asyncio.sleep(seconds)
        pool.give_back(taken)

    async def cancel(task: "asyncio.Task[None]", after_s: float | None) -> None:
        if after_s is not None:
            await asyncio.sleep(after_s)
            if task.get_name() not in {str(number) for number in served}:
                task.cancel()

    tasks = [
        asyncio.create_task(use(number, amount, seconds), name=str(number))
        for number, (amount, seconds, _) in enumerate(requests)
    ]
    cancels = [cancel(task, request[2]) for task, request in zip(tasks, requests, strict=True)]
    await asyncio.gather(*tasks, *cancels, return_exceptions=True)
    assert pool.free == 5
    assert served == sorted(served)


@virtual
async def test_an_event_is_waited_for_with_a_limit() -> None:
    """The answer says whether the event is set; the limit is kept."""
    event = asyncio.Event()
    assert await wait_for(event, 2) is False
    assert now() % 10 == pytest.approx(2, abs=0.01)
    asyncio.get_running_loop().call_later(1, event.set)
    assert await wait_for(event, None) is True


@pytest.mark.parametrize("cancels", [1, 2, 5])
@virtual
async def test_work_finishes_however_often_its_caller_is_cancelled(cancels: int) -> None:
    """The caller gets its CancelledError after the work is done, and further cancellations do not interrupt it."""
    done = []

    async def work() -> None:
        await asyncio.sleep(1)
        done.append(now())

    caller = asyncio.create_task(finish_within(3, work()))
    await asyncio.sleep(0.1)
    for _ in range(cancels):
        caller.cancel()
        await asyncio.sleep(0.1)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert len(done) == 1


@virtual
async def test_work_that_takes_too_long_is_cancelled_after_its_time() -> None:
    """After a cancellation of the caller the work has its time, and no task is left."""
    started = now()

    async def work() -> None:
        await asyncio.sleep(1_000)

    caller = asyncio.create_task(finish_within(3, work()))
    await settle_down()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert 3 <= now() - started <= 4
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_without_a_cancellation_work_has_no_limit() -> None:
    """The time counts only from a cancellation; results and errors pass through."""

    async def work(result: object) -> object:
        await asyncio.sleep(10)
        if isinstance(result, Exception):
            raise result
        return result

    assert await finish_within(1, work(5)) == 5
    with pytest.raises(KeyError):
        await finish_within(1, work(KeyError("x")))


@virtual
async def test_a_task_knows_whether_it_is_cancelled_itself() -> None:
    """A cancelled inner task does not mean that the outer one is cancelled."""
    seen = []

    async def outer(inner: "asyncio.Task[None]") -> None:
        try:
            await inner
        except asyncio.CancelledError:
            seen.append(is_being_cancelled())

    for cancel_inner in (True, False):
        inner: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(10))
        task = asyncio.create_task(outer(inner))
        await settle_down()
        (inner if cancel_inner else task).cancel()
        await asyncio.gather(task, inner, return_exceptions=True)
    assert seen == [False, True]
