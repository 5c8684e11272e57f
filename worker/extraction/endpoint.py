"""Calls of the endpoint: one at a time per receipt, within the adaptive limit and behind the breaker."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.errors import DependencyFault, Failed, Throttled
from worker.extraction.pages import Prepared
from worker.extraction.protocols.base import (
    EndpointProtocol,
    EndpointRequest,
    FailedExchange,
    UnusableAnswer,
    naming_unsent_pages,
)
from worker.receipts.receipt import Reading
from worker.receipts.record import ModelIdentity
from worker.resilience.dependency import Dependency
from worker.resilience.faults import classify
from worker.resilience.limiter import Limiter

if TYPE_CHECKING:
    from types_aiobotocore_sagemaker_runtime import SageMakerRuntimeClient


LARGE_ANSWER_BYTES = 65_536
"""An answer above this size is parsed in a thread, so that the event loop does not block."""
MOST_ANSWER_BYTES = 26_214_400
"""Largest answer that is read, the most that SageMaker returns. A receipt has a few kilobytes
(docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html)."""
_CHUNK_BYTES = 262_144
AT_ONCE_BYTES = 1_048_576
"""Largest body that aiohttp accepts as bytes without a warning that it might block the event loop."""


@dataclass(frozen=True, kw_only=True)
class EndpointTarget:
    """An endpoint and, optionally, the part of it that is called. `body_limit` is in bytes."""

    endpoint: str
    variant: str | None = None
    model: str | None = None
    inference_component: str | None = None
    body_limit: int = 6_291_456

    def arguments(self) -> dict[str, str]:
        """Return the arguments of InvokeEndpoint that select the target."""
        named = {
            "TargetVariant": self.variant,
            "TargetModel": self.model,
            "InferenceComponentName": self.inference_component,
        }
        return {"EndpointName": self.endpoint} | {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class Invoked:
    """A reading, the model that produced it, and the number of calls it took."""

    reading: Reading
    model: ModelIdentity
    attempts: int


@dataclass
class _Reply:
    body: bytes
    variant: str | None


class Endpoint:
    """A client of the endpoint that reads receipts."""

    def __init__(
        self,
        sagemaker: "SageMakerRuntimeClient",
        target: EndpointTarget,
        protocol: EndpointProtocol,
        *,
        dependency: Dependency,
        limiter: Limiter,
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self._sagemaker = sagemaker
        self._target = target
        self._protocol = protocol
        self._dependency = dependency
        self._limiter = limiter
        self._on_call = on_call

    async def read(self, prepared: Prepared, *, work: str, before_call: Callable[[], Awaitable[None]]) -> Invoked:
        """Return the endpoint's reading of `prepared`.

        `before_call` is awaited before each call that will be paid for. An unusable answer is requested once more. If
        some fields are still wrong, the other fields are returned. Raises `Failed` if the answer is not a receipt, and
        whatever `Dependency.call` raises.
        """
        request = self._protocol.request(prepared)
        if len(request.body) > self._target.body_limit:
            raise Failed(
                "request_too_large",
                f"the request has {len(request.body)} bytes; the endpoint takes at most {self._target.body_limit}",
            )
        calls = _Counter()
        reply = await self._invoke(request, work, before_call, calls)
        try:
            reading = await self._read(reply.body)
            spent = reading.usage
        except UnusableAnswer as problem:
            again = self._protocol.repair(FailedExchange(request, reply.body, str(problem)))
            if again is None or len(again.body) > self._target.body_limit:
                reading, spent = _rest(problem), problem.usage
            else:
                reading, reply, spent = await self._repaired(
                    problem, reply, self._invoke(again, work, before_call, calls)
                )
        return Invoked(naming_unsent_pages(reading, prepared), self._identity(reading, reply, spent), calls.count)

    async def _repaired(
        self, problem: UnusableAnswer, reply: _Reply, second: Awaitable[_Reply]
    ) -> tuple[Reading, _Reply, dict[str, int]]:
        """Return the second answer's reading or the best rest of both, its reply, and the cost of both calls."""
        try:
            reply = await second
        except Failed:  # the longer conversation may exceed the model's context
            return _rest(problem), reply, problem.usage
        try:
            reading = await self._read(reply.body)
            return reading, reply, _sum(problem.usage, reading.usage)
        except UnusableAnswer as still:
            return _rest(still, problem), reply, _sum(problem.usage, still.usage)

    async def _read(self, answer: bytes) -> Reading:
        if len(answer) <= LARGE_ANSWER_BYTES:
            return self._protocol.read(answer)
        return await asyncio.to_thread(self._protocol.read, answer)

    def _identity(self, reading: Reading, reply: _Reply, usage: dict[str, int]) -> ModelIdentity:
        return ModelIdentity(
            endpoint=self._target.endpoint,
            variant=reply.variant or self._target.variant,
            protocol=self._protocol.name,
            protocol_version=self._protocol.version,
            model_version=reading.model_version,
            usage=usage,
        )

    async def _invoke(
        self, request: EndpointRequest, work: str, before_call: Callable[[], Awaitable[None]], calls: "_Counter"
    ) -> _Reply:
        async def attempt() -> _Reply:
            async with self._limiter.slot() as slot:
                await before_call()
                slot.started = self._limiter.now()
                calls.count += 1
                self._on_call()
                try:
                    reply = await self._call(request)
                except Exception as error:
                    self._report(slot, classify(self._dependency.name, error))
                    raise
                self._limiter.succeeded(slot)
                return reply

        return await self._dependency.call(attempt, work=work)

    async def _call(self, request: EndpointRequest) -> _Reply:
        response: Any = await self._sagemaker.invoke_endpoint(
            **self._target.arguments(),
            ContentType=request.content_type,
            Accept=request.accept,
            # A larger body is streamed: sent at once, it would block the event loop.
            Body=request.body if len(request.body) < AT_ONCE_BYTES else io.BytesIO(request.body),
        )
        stream = response["Body"]
        async with stream:
            return _Reply(body=await _bounded(stream), variant=response.get("InvokedProductionVariant"))

    def _report(self, slot: Any, error: Exception) -> None:
        if isinstance(error, Throttled):
            self._limiter.throttled(slot)
        elif isinstance(error, DependencyFault) and error.reason in {"timeout", "model_unavailable"}:
            self._limiter.timed_out(slot)


async def _bounded(stream: Any) -> bytes:
    answer = bytearray()
    while chunk := await stream.read(_CHUNK_BYTES):
        answer += chunk
        if len(answer) > MOST_ANSWER_BYTES:
            raise Failed("unusable_answer", f"the answer has more than {MOST_ANSWER_BYTES} bytes")
    return bytes(answer)


def _rest(*problems: UnusableAnswer) -> Reading:
    """Return the usable rest of the newest answer that has one, or raise `Failed` with the newest problem."""
    newest = problems[0]
    rest = next((problem.rest for problem in problems if problem.rest), None)
    if rest is None:
        raise Failed("unusable_answer", str(newest)) from newest
    return rest


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one | other}


@dataclass
class _Counter:
    count: int = 0
