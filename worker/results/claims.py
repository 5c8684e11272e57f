"""Content claims: of all workers and documents that have the same bytes, one sends them to the endpoint.

The row `sha256:<hex>` is in one of these states; each arrow is one conditional write:

    free ──claim──> claimed (owner, end) ──keep──> answered
      ^                │  ▲ │     ▲                   │
      └────release─────┘  └─┘     └── forced replay ──┘
                         renew, or another owner after the end

The answer is stored before anything else is done with it, so it is paid for once however often the work is repeated.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog

from worker.aws.resources import CONTENT_PREFIX
from worker.errors import LeaseLost
from worker.resilience.sync import finish_within
from worker.results.answer import Answer
from worker.results.attributes import to_attributes
from worker.results.conditional import Rows
from worker.results.offload import Offload

log = structlog.get_logger(__name__)

BUSY_PAUSE_S = 1.0
"""Pause between two checks of a content that another worker has claimed, seconds."""
KEEP_S = 1.5
"""Time limit for storing an answer after the work is cancelled, seconds. With `RELEASE_S` it is less than the time that
the consumer gives to handing back."""
RELEASE_S = 1.0
"""Time limit for releasing a claim, seconds."""


@dataclass(frozen=True)
class ClaimPolicy:
    """The policy of claims."""

    call_s: float
    """Longest time that one call of the endpoint may take, seconds."""
    margin_s: float
    """A claim is this much longer than a call, seconds."""

    @property
    def claim_s(self) -> float:
        """Length of a claim, seconds."""
        return self.call_s + self.margin_s


class ClaimTaken(Exception):
    """The claim ended while the receipt waited, and another worker has claimed or answered the content."""


class Claims:
    """The claims on contents."""

    def __init__(
        self,
        rows: Rows,
        offload: Offload,
        policy: ClaimPolicy,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self.rows = rows
        self.offload = offload
        self.policy = policy
        self.clock = clock
        self.sleep = sleep

    @asynccontextmanager
    async def hold(self, sha256: str, *, replay: str | None, check_lease: Callable[[], None]) -> "AsyncIterator[Claim]":
        """Wait until the content is answered or claimed for this block, and release the claim if the block fails.

        `replay` names a replay that requests a new answer whatever the row holds. `check_lease` is called before each
        claim, and may raise.
        """
        claim = Claim(self, sha256, replay=replay, check_lease=check_lease)
        try:
            await claim.acquire()
            yield claim
        except BaseException:
            await claim.release()
            raise


class Claim:
    """The claim on one content, or the answer to it."""

    def __init__(self, claims: Claims, sha256: str, *, replay: str | None, check_lease: Callable[[], None]) -> None:
        self.sha256 = sha256
        self.answer: Answer | None = None
        self.shared = False
        """Whether the answer was there before: for another document, another delivery or an earlier attempt."""
        self._claims = claims
        self._document = CONTENT_PREFIX + sha256
        self._owner = uuid.uuid4().hex
        self._replay = replay
        self._check_lease = check_lease
        self._until = 0.0

    async def acquire(self) -> None:
        """Wait until the content is answered, or claimed by this worker.

        An expired claim is not taken over on the first check: after an outage of the table, its owner may still have an
        answer to store.
        """
        take_over = False
        while True:
            row = await self._claim(take_over=take_over)
            if row is None:
                return
            if self._is_answered(row):
                self.answer = Answer.model_validate_json(row["answer"])
                self.shared = True
                return
            left = float(row.get("lease_until", 0)) - self._claims.clock()
            take_over = left <= 0
            await self._claims.sleep(min(left, BUSY_PAUSE_S) if left > 0 else BUSY_PAUSE_S)

    async def answered_by(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer: the one that is there, or the one that `ask` returns while this worker holds the claim.

        `ask` calls `renew` before each call that is paid for, and `keep` on its answer.
        """
        while self.answer is None:
            try:
                self.answer = await ask()
            except ClaimTaken:
                await self.acquire()
        return self.answer

    async def renew(self) -> None:
        """Make sure that the claim outlasts one call of the endpoint; raise `ClaimTaken` if it was lost."""
        self._check_lease()
        policy = self._claims.policy
        if self._until - self._claims.clock() > policy.call_s + policy.margin_s / 2:
            return
        if await self._claim(take_over=True) is not None:
            raise ClaimTaken

    async def keep(self, answer: Answer, *, bucket: str) -> Answer:
        """Store `answer` in the row, its receipt in `bucket` if it is too large, and return it as it is stored.

        The endpoint has been paid, so a stop or a lost lease still leaves `KEEP_S` seconds for this. Raises `LeaseLost`
        if another worker has claimed the content meanwhile.
        """
        return await finish_within(KEEP_S, self._keep(answer, bucket))

    async def release(self) -> None:
        """Give up the claim, so that no worker has to wait for its end; a claim that was lost is left alone."""
        if self.answer is not None:
            return
        try:
            await finish_within(RELEASE_S, asyncio.wait_for(self._release(), RELEASE_S))
        except Exception as error:  # noqa: BLE001 - the claim then ends by itself, only later
            log.info("claim.left_to_expire", error=type(error).__name__)

    def _is_answered(self, row: dict[str, Any]) -> bool:
        return "answer" in row and (self._replay is None or self._replay in row.get("answered_replays", ()))

    async def _claim(self, *, take_over: bool) -> dict[str, Any] | None:
        """Claim or renew: return None, or else the row that is there. `take_over` also takes an expired claim."""
        unanswered = "attribute_not_exists(#answer)"
        if self._replay:
            unanswered = f"({unanswered} OR NOT contains(answered_replays, :replay))"
        expired = " OR lease_until < :now" if take_over else ""
        until = 0.0

        def arguments() -> dict[str, Any]:
            nonlocal until
            self._check_lease()  # before each attempt
            now = self._claims.clock()
            until = round(now + self._claims.policy.claim_s, 3)
            values: dict[str, Any] = {":owner": self._owner, ":until": Decimal(str(until))}
            values |= {":now": Decimal(str(round(now, 3)))} if take_over else {}
            values |= {":replay": self._replay} if self._replay else {}
            return {
                "UpdateExpression": "SET #owner = :owner, lease_until = :until",
                "ConditionExpression": f"{unanswered} AND (attribute_not_exists(#owner) OR #owner = :owner{expired})",
                "ExpressionAttributeNames": {"#owner": "owner", "#answer": "answer"},
                "ExpressionAttributeValues": to_attributes(values),
            }

        row = await self._claims.rows.update(self._document, arguments, work=self._owner)
        if row is None:
            self._until = until
        return row

    async def _keep(self, answer: Answer, bucket: str) -> Answer:
        answer = await self._claims.offload.fit_answer(answer, bucket=bucket, sha256=self.sha256)
        values: dict[str, Any] = {":owner": self._owner, ":answer": answer.text}
        kept = "#answer = :answer"
        if self._replay:
            values |= {":replay": [self._replay], ":none": []}
            kept += ", answered_replays = list_append(if_not_exists(answered_replays, :none), :replay)"
        arguments = {
            "UpdateExpression": f"SET {kept} REMOVE lease_until, #owner",
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner", "#answer": "answer"},
            "ExpressionAttributeValues": to_attributes(values),
        }
        row = await self._claims.rows.update(self._document, lambda: arguments, work=self._owner)
        # A write whose reply was lost finds its own answer on the next attempt.
        if row is not None and row.get("answer") != answer.text:
            raise LeaseLost("claim_lost")
        return answer

    async def _release(self) -> None:
        arguments = {
            "UpdateExpression": "REMOVE lease_until, #owner",
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": to_attributes({":owner": self._owner}),
        }
        await self._claims.rows.update(self._document, lambda: arguments, work=self._owner)
