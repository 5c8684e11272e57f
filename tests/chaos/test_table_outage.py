"""An outage of the table between an answer of the endpoint and its storage, in virtual time."""

import logging

import pytest
import structlog

from tests.support.pictures import picture
from tests.support.virtual import VirtualLoop
from tests.support.world import World


@pytest.mark.parametrize("seed", range(10))
def test_an_answer_that_cannot_be_stored_yet_is_not_paid_for_again(seed: int) -> None:
    """A copy of the message does not take over the claim that expires during the outage before the answer is stored."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    world = World(VirtualLoop(), seed=seed, versioned=True, sequenced=True)
    try:
        world.service_s = 3.0
        world.start()
        world.start()
        world.upload("x", picture(1))
        world.queue.duplicate(0)
        world.advance(2.5)  # one worker calls the endpoint, the other waits for its claim
        world.down.add("dynamodb")
        world.advance(300)
        assert sum(world.invocations.values()) == 1
        world.down.clear()
        world.advance(60)
        assert sum(world.invocations.values()) == 1
        assert not world.queue.copies
        assert not world.violations
    finally:
        world.close()
        structlog.reset_defaults()
