"""The endpoint client without a network: how much of an answer it reads."""

from typing import Any, Self

import pytest

from tests.support.virtual import now, virtual
from worker.errors import Failed
from worker.extraction.endpoint import MOST_ANSWER_BYTES, Endpoint, EndpointTarget
from worker.extraction.pages import Page, Prepared
from worker.extraction.protocols import ImageProtocol
from worker.resilience.breaker import Breaker, BreakerPolicy
from worker.resilience.dependency import Dependency, RetryPolicy
from worker.resilience.limiter import Limiter


class Flood:
    """A SageMaker client whose answers never end."""

    def __init__(self) -> None:
        self.given = 0

    async def invoke_endpoint(self, **_: Any) -> dict[str, Any]:
        """Return an answer with this object as its endless body."""
        return {"Body": self}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def read(self, size: int) -> bytes:
        """Return as many bytes as requested."""
        self.given += size
        return bytes(size)


@virtual
async def test_an_endless_answer_fails() -> None:
    """The receipt fails with a reason before the answer fills the memory."""
    flood: Any = Flood()
    dependency = Dependency("sagemaker", Breaker("sagemaker", BreakerPolicy(), clock=now), RetryPolicy())
    limiter = Limiter(clock=now, fixed=1)
    endpoint = Endpoint(flood, EndpointTarget(endpoint="e"), ImageProtocol(), dependency=dependency, limiter=limiter)
    prepared = Prepared(pages=(Page(b"x", "image/jpeg", 1, 1),), media_type="image/jpeg", page_count=1)

    async def nothing() -> None: ...

    with pytest.raises(Failed) as caught:
        await endpoint.read(prepared, work="a", before_call=nothing)
    assert caught.value.reason == "unusable_answer"
    assert flood.given < 2 * MOST_ANSWER_BYTES
    assert limiter.running == 0
