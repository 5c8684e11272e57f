"""Answers that do not come from AWS although they arrive at its address."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web
from botocore.credentials import ReadOnlyCredentials

from tests.support.signed import SignedAws
from worker.aws.clients import clients
from worker.errors import DependencyFault
from worker.extraction.memory import ByteBudget
from worker.receipts.document import Upload
from worker.resilience.faults import SuspectFault
from worker.runtime.build import Dependencies
from worker.runtime.fetch import Fetcher, FetchPolicy
from worker.settings import Settings
from worker.telemetry import Telemetry

ONE = ReadOnlyCredentials("one", "secret one", None, None)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("status", [200, 403, 404])
async def test_a_page_of_a_proxy_is_an_outage_of_s3(
    signed_environment: Callable[..., None], status: int, *, direct: bool
) -> None:
    """A proxy that answers in HTML instead of S3 is neither a picture, nor a missing object, nor a suspect receipt."""

    async def answer(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(status=status, text="<html><body>Sign in</body></html>", content_type="text/html")

    async with SignedAws({"one": ONE}, answer, request_ids=False).serve() as aws:
        signed_environment(aws.url)
        settings = Settings(direct_calls=direct).model_copy(update={"call_attempts": 1})
        dependencies = Dependencies(settings, Telemetry())
        with ThreadPoolExecutor(1) as executor:
            async with clients(settings) as opened:
                policy = FetchPolicy(upload_limit_bytes=1_000, fetch_s=5)
                fetcher = Fetcher(opened.s3, dependencies["s3"], policy, ByteBudget(1_000), executor)
                upload = Upload(bucket="b", key="a.jpg", uploaded_at=dt.datetime.now(dt.UTC))
                with pytest.raises(DependencyFault) as raised:
                    async with fetcher.fetch(upload):
                        pass
    assert raised.value.reason in {"foreign_answer", "connection"}
    assert not isinstance(raised.value, SuspectFault)
