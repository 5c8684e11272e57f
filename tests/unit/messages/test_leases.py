"""Leases: extended in time, in batches, and lost loudly."""

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
    """As much of a queue as leases need: until when each handle's message is invisible."""

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
async def test_a_message_stays_ours_for_as_long_as_it_takes() -> None:
    """For an hour of work the message is never visible to others, for one call a heartbeat."""
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
    """Extensions go in batches of ten."""
    sqs = Sqs()
    async with keeping(sqs) as keeper:
        for number in range(30):
            keeper.open(received(number), asked_at=now())
        await asyncio.sleep(40)
    assert sorted(len(call) for call in sqs.calls) == [10, 10, 10]
    assert {handle for call in sqs.calls for handle in call} == {f"h{number}" for number in range(30)}


@virtual
async def test_one_lost_call_costs_nothing() -> None:
    """A call that fails is made again long before the lease ends."""
    sqs = Sqs(down=True)
    async with keeping(sqs) as keeper:
        lease = keeper.open(received(1), asked_at=now())
        await asyncio.sleep(31)
        sqs.down = False
        await asyncio.sleep(200)
        lease.check()
        assert lease.lost is None


@virtual
async def test_a_lease_that_cannot_be_extended_is_lost_before_it_ends() -> None:
    """When SQS stays away the work is stopped while the message is still ours, and nothing is written after."""
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
async def test_a_message_that_is_somebody_elses_is_lost_at_once() -> None:
    """SQS says that the handle is not ours any more; only that message is lost."""
    sqs = Sqs(fault=lambda handle: EntryFault("MessageNotInflight", senders=True) if handle == "h1" else None)
    async with keeping(sqs) as keeper:
        one, two = (keeper.open(received(number), asked_at=now()) for number in (1, 2))
        await asyncio.sleep(31)
        assert (one.lost, two.lost) == ("taken", None)


@virtual
async def test_closing_waits_for_the_extension_under_way() -> None:
    """When close returns no extension is under way and none follows, so settling cannot be undone by one."""
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
async def test_a_lease_that_closes_as_it_becomes_due_is_not_extended() -> None:
    """Between becoming due and the call its outcome may come: then the call is without it."""
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
async def test_near_twelve_hours_a_message_is_given_up() -> None:
    """SQS would not extend it further, so the work is stopped in time to hand it back."""
    sqs = Sqs()
    policy = LeasePolicy(visibility_s=120, heartbeat_s=30, cap_s=1_000)
    async with keeping(sqs, policy) as keeper:
        lease = keeper.open(received(1), asked_at=now())
        await asyncio.sleep(1_000)
    assert lease.lost == "visibility_cap"
    assert max(sqs.until.values()) - lease.began <= 1_000


def test_a_heartbeat_must_leave_room_for_a_lost_one() -> None:
    """At half of the visibility and above one lost call would lose the message."""
    with pytest.raises(ValueError, match="less than half"):
        LeasePolicy(visibility_s=60, heartbeat_s=30)
