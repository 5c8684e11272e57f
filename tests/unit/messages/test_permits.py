"""Permits, which the worker takes before it receives messages."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual import settle_down, virtual
from worker.messages.permits import Permits


@virtual
async def test_take_returns_at_most_the_free_permits() -> None:
    """A take returns the free permits, at most as many as it asks for."""
    permits = Permits(5)
    assert await permits.take(3) == 3
    assert await permits.take(10) == 2
    assert (permits.free, permits.taken) == (0, 5)


@virtual
async def test_take_waits_until_one_permit_is_given_back() -> None:
    """When no permit is free, a take waits, and returns as soon as one is given back."""
    permits = Permits(2)
    await permits.take(2)
    waiting = asyncio.create_task(permits.take(10))
    await settle_down()
    assert not waiting.done()
    permits.give_back()
    assert await waiting == 1


@virtual
async def test_a_cancelled_take_takes_nothing() -> None:
    """Cancelling a waiting take does not lose a permit."""
    permits = Permits(1)
    await permits.take(1)
    waiting = asyncio.create_task(permits.take(1))
    await settle_down()
    permits.give_back()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert permits.free + (0 if waiting.cancelled() else waiting.result()) == 1


def test_more_cannot_be_given_back_than_was_taken() -> None:
    """Giving back more permits than were taken is an error, so that a worker cannot take too many messages."""
    with pytest.raises(ValueError, match="more permits"):
        Permits(1).give_back()


def test_zero_permits_are_refused() -> None:
    """A worker without permits could never receive, so zero is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        Permits(0)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=12))
@virtual
async def test_the_number_of_permits_stays_constant(takers: list[tuple[int, int]]) -> None:
    """With any number of concurrent takes, no more permits are out than exist, and all come back."""
    permits = Permits(4)

    async def work(wanted: int, hold_s: int) -> None:
        got = await permits.take(wanted)
        assert 1 <= got <= wanted
        assert 0 <= permits.free <= 4
        await asyncio.sleep(hold_s)
        permits.give_back(got)

    await asyncio.gather(*(work(*taker) for taker in takers))
    assert permits.free == 4
