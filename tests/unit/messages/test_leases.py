"""Leases: extended in time and in batches, and reported when they are lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.virtual import now, settle_down, virtual
from worker.errors import LeaseLost
from worker.messages.leases import LeaseKeeper, LeasePolicy
from worker.messages.queue import EntryFault, Received

POLICY = LeasePolicy(visibility_s=120, heartbeat_s=30)


@dataclass
class Sqs:
    """A model of the queue for leases: the time until which each handle's message is invisible."""

    until: dict[str, float] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    call_s: float = 0.1
    fault: Callable[[str], EntryFault | None] = lambda _: None
    down: bool = False

    async def change_visibility(self, changes: list[tuple[str, float]]) -> list[EntryFault | None]:
        self.calls.append([handle for handle, _ in changes])
        await asyncio.sleep(self.call_s)
        if self.down:
            raise ConnectionError
        faults = [self.fault(handle) for handle, _ in changes]
        self.until |= {handle: now() + s for (handle, s), fault in zip(changes, faults, strict=True) if not fault}
        return faults


def received(number: int) -> Received:
    return Received(f"m{number}", f"h{number}", "", 1, None)


@asynccontextmanager
async def keeping(sqs: Sqs, policy: LeasePolicy = POLICY) -> AsyncIterator[LeaseKeeper]:
    keeper = LeaseKeeper(sqs, policy, clock=now)  # type: ignore[arg-type]  # the one method of a queue that it calls
    running = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@virtual
async def test_a_lease_is_extended_for_as_long_as_the_work_takes() -> None:
    """During an hour of work the message is never visible to others, at one call per heartbeat."""
    sqs = Sqs()
    async with keeping(sqs) as keeper:
        lease = keeper.open(received(1), asked_at=now())
        sqs.until["h1"] = now() + 120
        for _ in range(360):
            await asyncio.sleep(10)
            assert sqs.until["h1"] > now()
            lease.check()
        assert len(sqs.calls) <= 3600 / 30


@virtual
async def test_thirty_messages_share_three_calls() -> None:
    """Extensions are sent in batches of ten."""
    sqs = Sqs()
    async with keeping(sqs) as keeper:
        for number in range(30):
            keeper.open(received(number), asked_at=now())
        await asyncio.sleep(40)
    assert sorted(len(call) for call in sqs.calls) == [10, 10, 10]
    assert {handle for call in sqs.calls for handle in call} == {f"h{number}" for number in range(30)}


@virtual
async def test_a_failed_extension_is_tried_again_before_the_lease_ends() -> None:
    """An extension that fails is tried again long before the lease ends."""
    sqs = Sqs(down=True)
    async with keeping(sqs) as keeper:
        lease = keeper.open(received(1), asked_at=now())
        await asyncio.sleep(31)
        sqs.down = False
        await asyncio.sleep(200)
        lease.check()
        assert lease.lost is None


@virtual
async def test_a_lease_that_cannot_be_extended_counts_as_lost_before_it_ends() -> None:
    """When SQS stays down, the work stops while the lease is still valid, and nothing is written after."""
    sqs = Sqs(down=True)
    lost_at: list[float] = []
    async with keeping(sqs) as keeper:
        began = now()
        lease = keeper.open(received(1), asked_at=began)
        lease.when_lost(lambda: lost_at.append(now() - began))
        await asyncio.sleep(200)
    assert lease.lost == "expired"
    assert lost_at[0] < POLICY.visibility_s
    with pytest.raises(LeaseLost):
        lease.check()


@virtual
async def test_a_message_that_another_worker_has_is_lost_at_once() -> None:
    """When SQS reports that a handle is not in flight, only that message is lost."""
    sqs = Sqs(fault=lambda handle: EntryFault("MessageNotInflight", senders=True) if handle == "h1" else None)
    async with keeping(sqs) as keeper:
        one, two = (keeper.open(received(number), asked_at=now()) for number in (1, 2))
        await asyncio.sleep(31)
        assert (one.lost, two.lost) == ("taken", None)


@virtual
async def test_closing_waits_for_a_running_extension() -> None:
    """After close returns, no extension is running or follows, so none can undo the settlement."""
    sqs = Sqs(call_s=5)
    async with keeping(sqs) as keeper:
        lease = keeper.open(received(1), asked_at=now())
        await asyncio.sleep(31)
        assert len(sqs.calls) == 1
        closed_at = now()
        await keeper.close(lease)
        assert now() - closed_at >= 3
        await asyncio.sleep(200)
    assert len(sqs.calls) == 1
    assert lease.lost is None


@virtual
async def test_a_lease_that_closes_when_due_is_not_extended() -> None:
    """A lease that closes between becoming due and the call is left out of the call."""
    sqs = Sqs()
    keeper = LeaseKeeper(sqs, POLICY, clock=now)  # type: ignore[arg-type]  # as above
    lease = keeper.open(received(1), asked_at=now())
    await asyncio.sleep(30.5)
    round_ = asyncio.create_task(keeper.keep())
    await asyncio.sleep(0)  # the round has begun, its call has not
    await keeper.close(lease)
    await settle_down()
    await round_
    assert sqs.calls == []


@virtual
async def test_a_lease_is_given_up_before_the_maximum_of_sqs() -> None:
    """SQS extends a message for 12 hours at most, so the work stops in time to release it."""
    sqs = Sqs()
    policy = LeasePolicy(visibility_s=120, heartbeat_s=30, cap_s=1_000)
    async with keeping(sqs, policy) as keeper:
        lease = keeper.open(received(1), asked_at=now())
        await asyncio.sleep(1_000)
    assert lease.lost == "visibility_cap"
    assert max(sqs.until.values()) - lease.began <= 1_000


def test_a_heartbeat_must_be_shorter_than_half_the_visibility() -> None:
    """With a heartbeat of half the visibility or more, one failed call would lose the message."""
    with pytest.raises(ValueError, match="less than half"):
        LeasePolicy(visibility_s=60, heartbeat_s=30)
