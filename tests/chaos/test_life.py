"""The life of a message against models of SQS, S3, DynamoDB and the endpoint. Workers can die between any two awaits.

Hypothesis generates sequences of uploads, duplicates, deaths, stops, outages and waits. The real worker code runs in
virtual time. The guarantees must hold after each step, and after all faults have ended.
"""

import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.endpoint import total_of
from tests.support.pictures import picture
from tests.support.virtual import VirtualLoop
from tests.support.world import BUCKET, World

PICTURES = [picture(number) for number in range(5)]
UNREADABLE = PICTURES[-1]
SERVICES = st.sampled_from(["sqs", "s3", "dynamodb", "sagemaker"])
IN_CI = settings.get_current_profile_name() == "ci"


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Do not log thousands of simulated outages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


class Life(RuleBasedStateMachine):
    """A state machine: its rules are the possible events, its invariants are the guarantees."""

    world: World
    table_outages = 0

    @initialize(seed=st.integers(0, 2**32), versioned=st.booleans(), sequenced=st.booleans())
    def begin(self, *, seed: int, versioned: bool, sequenced: bool) -> None:
        """Start with two workers and an empty bucket."""
        self.world = World(VirtualLoop(), seed=seed, versioned=versioned, sequenced=sequenced)
        self.world.unreadable.add(UNREADABLE)
        self.world.start()
        self.world.start()

    @rule(key=st.sampled_from("xyz"), number=st.integers(0, len(PICTURES) - 1))
    def upload(self, key: str, number: int) -> None:
        """An upload arrives. It may replace an earlier one or repeat its bytes."""
        self.world.upload(key, PICTURES[number])

    @precondition(lambda self: self.world.queue.copies)
    @rule(at=st.integers(0, 99))
    def duplicate(self, at: int) -> None:
        """SQS delivers a message again, even if the first copy is deleted."""
        self.world.queue.duplicate(at)

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 3.0, 10.0, 30.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.advance(seconds)

    @precondition(lambda self: len(self.world.alive) < 3)
    @rule()
    def start(self) -> None:
        """A worker starts."""
        self.world.start()

    @precondition(lambda self: self.world.alive)
    @rule(which=st.integers(0, 2), steps=st.integers(1, 40))
    def die(self, which: int, steps: int) -> None:
        """A worker will die before or after one of its next calls takes effect."""
        alive = self.world.alive
        alive[which % len(alive)].fuse = steps

    @precondition(lambda self: self.world.alive)
    @rule(which=st.integers(0, 2))
    def stop(self, which: int) -> None:
        """A worker gets SIGTERM."""
        alive = self.world.alive
        alive[which % len(alive)].stop()

    @rule(
        key=st.sampled_from("xyz"),
        number=st.integers(0, len(PICTURES) - 1),
        seconds=st.sampled_from([9.0, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6]),
    )
    def interrupt(self, key: str, number: int, seconds: float) -> None:
        """All workers get SIGTERM during an invocation, which ends near the end of the drain or after it."""
        self.world.service_s = seconds
        self.world.upload(key, PICTURES[number])
        self.world.advance(1)
        for process in self.world.alive:
            process.stop()
        self.world.advance(6)

    @rule(service=SERVICES)
    def outage(self, service: str) -> None:
        """A service fails until `recovery`."""
        self._take_down(service)

    def _take_down(self, service: str) -> None:
        self.table_outages += service == "dynamodb" and service not in self.world.down
        self.world.down.add(service)

    @rule(service=SERVICES, key=st.sampled_from("xyz"), seconds=st.sampled_from([9.0, 11.0, 14.0]))
    def leases_expire(self, service: str, key: str, seconds: float) -> None:
        """Leases cannot be extended while an outage of another service delays an upload; then that outage ends."""
        self.world.upload(key, PICTURES[0])
        self.world.advance(1)
        self._take_down("sqs")
        self._take_down(service)
        self.world.advance(seconds)
        self.world.down -= {service} - {"sqs"}
        self.world.advance(3)

    @rule()
    def recovery(self) -> None:
        """All services work again."""
        self.world.down.clear()

    @rule(service=SERVICES)
    def lose_a_reply(self, service: str) -> None:
        """A call takes effect, and its reply is lost."""
        if service != "sagemaker":  # a lost answer of the endpoint must be paid for again
            self.world.lost_replies[service] += 1

    @rule(seconds=st.sampled_from([0.1, 5.0, 9.0]))
    def speed(self, seconds: float) -> None:
        """The endpoint becomes faster or slower, possibly slower than a heartbeat."""
        self.world.service_s = seconds

    @invariant()
    def guarantees_hold(self) -> None:
        """No guarantee is broken.

        No old upload replaces a newer one, and no content is paid for twice. No record is written without a lease, and
        no receive is made without a permit.
        """
        world = getattr(self, "world", None)
        if world is None:
            return
        assert not world.violations, world.violations
        for content, number in world.invocations.items():
            # A stop does not justify a second invocation: an answer that a worker received is stored, unless the
            # table is down.
            excused = world.answers_not_received[content] + world.crashes + world.leases_lost + self.table_outages
            assert number <= 1 + excused, f"{number} invocations of one content, {excused} with an excuse"

    def teardown(self) -> None:
        """End all faults: then every upload must have its record, or its message is in the dead-letter queue."""
        world = getattr(self, "world", None)
        if world is None:
            return
        try:
            world.down.clear()
            world.lost_replies.clear()
            world.service_s = 0.1
            for process in world.alive:
                process.fuse = None
            if not world.alive or all(process.consumer._stopping.is_set() for process in world.alive):
                world.start()
            for _ in range(40):
                if not world.queue.copies:
                    break
                world.advance(15)
            self.guarantees_hold()
            assert not world.queue.copies, "messages are left that no worker takes"
            dead = "".join(copy.body for copy in world.queue.dead)
            for key, bodies in world.uploads.items():
                self._is_done(world.table.rows.get(f"{BUCKET}/{key}"), key, bodies, dead)
        finally:
            world.close()

    def _is_done(self, row: dict[str, Any] | None, key: str, bodies: list[bytes], dead: str) -> None:
        if bodies[-1] == UNREADABLE and row is not None and self.world.index(row) == len(bodies) - 1:
            assert row["status"] == "failed", "an unreadable upload is recorded as failed"
            return
        if f'"key": "{key}"' in dead and bodies[-1] != UNREADABLE:
            return
        assert row is not None, f"the upload {key} left no record"
        assert self.world.index(row) == len(bodies) - 1, f"the record of {key} is not about its latest upload"
        assert row["total"] == Decimal(total_of(bodies[-1])), f"the record of {key} has another picture's total"


Life.TestCase.settings = settings(
    max_examples=2_000 if IN_CI else 150,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestLife = Life.TestCase
