"""Permits: taken before a message is received."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import settle_down, virtual
from worker.messages.permits import Permits


@virtual
async def test_what_is_free_is_taken_at_once_and_no_more() -> None:
    """A taker gets what there is, up to what he asks for."""
    permits = Permits(5)
    assert await permits.take(3) == 3
    assert await permits.take(10) == 2
    assert (permits.free, permits.taken) == (0, 5)


@virtual
async def test_a_taker_waits_for_the_first_that_is_given_back() -> None:
    """With none free a taker waits, and one given back is enough to go on."""
    permits = Permits(2)
    await permits.take(2)
    waiting = asyncio.create_task(permits.take(10))
    await settle_down()
    assert not waiting.done()
    permits.give_back()
    assert await waiting == 1


@virtual
async def test_a_cancelled_taker_takes_nothing() -> None:
    """A wait that is cancelled costs no permit."""
    permits = Permits(1)
    await permits.take(1)
    waiting = asyncio.create_task(permits.take(1))
    await settle_down()
    permits.give_back()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert permits.free + (0 if waiting.cancelled() else waiting.result()) == 1


def test_more_cannot_be_given_back_than_was_taken() -> None:
    """Counting wrong is an error at once, not a worker that takes too much."""
    with pytest.raises(ValueError, match="more permits"):
        Permits(1).give_back()


def test_there_is_at_least_one() -> None:
    """A worker without permits would never work."""
    with pytest.raises(ValueError, match="at least 1"):
        Permits(0)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=12))
@virtual
async def test_permits_are_never_lost_nor_made(takers: list[tuple[int, int]]) -> None:
    """However many take, hold and give back, there are never more out than exist, and all come back."""
    permits = Permits(4)

    async def work(wanted: int, hold_s: int) -> None:
        got = await permits.take(wanted)
        assert 1 <= got <= wanted
        assert 0 <= permits.free <= 4
        await asyncio.sleep(hold_s)
        permits.give_back(got)

    await asyncio.gather(*(work(*taker) for taker in takers))
    assert permits.free == 4
