"""An outage of the table between an answer and its being written down, in virtual time."""

import logging

import pytest
import structlog

from tests.support.pictures import picture
from tests.support.virtual import VirtualLoop
from tests.support.world import World


@pytest.mark.parametrize("seed", range(10))
def test_an_answer_that_waits_for_the_table_is_not_paid_for_again(seed: int) -> None:
    """While its claim runs out in an outage a copy of the message waits, and lets the answer go first afterwards."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    world = World(VirtualLoop(), seed=seed, versioned=True, sequenced=True)
    try:
        world.service_s = 3.0
        world.start()
        world.start()
        world.upload("x", picture(1))
        world.queue.duplicate(0)
        world.advance(2.5)  # one asks the endpoint, the other waits for its claim
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
