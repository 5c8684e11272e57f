"""The front of the SageMaker runtime: its API, error shapes and limits, in front of a local container.

It serves InvokeEndpoint (docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html). It
forwards each call to the container's `POST /invocations`, so the ordinary `sagemaker-runtime` client needs only an
endpoint URL. As with SageMaker, a call that its client abandons continues in the container.
"""

import asyncio
import io
import json
import uuid
from typing import Self

import aiohttp
from aiohttp import web

from worker.workbench.local.emulator import listen, url

BODY_LIMIT = 6_291_456
"""Largest request body, bytes (source: see above)."""
TIMEOUT_S = 60.0
"""Longest time that a container may take to answer, seconds (source: see above)."""
VARIANT = "AllTraffic"
FORWARDED = ("content-type", "accept")
FORWARDED_PREFIX = "x-amzn-sagemaker-"


class Front:
    """A server on loopback, as an async context manager. While it runs, `url` is its address."""

    def __init__(
        self,
        *,
        endpoint: str,
        container_url: str,
        account: str,
        region: str,
        port: int = 0,
        capacity: int | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.endpoint = endpoint
        self.capacity = capacity
        """Largest number of concurrent calls; further ones are throttled. None: no limit. It may change at any time."""
        self.calls = 0
        """Total number of calls that reached the container."""
        self._container_url = container_url
        self._account = account
        self._region = region
        self._listener = listen(port)
        self.url = url(self._listener)
        self._timeout_s = timeout_s
        self._running: set[asyncio.Task[object] | None] = set()
        self._session: aiohttp.ClientSession | None = None
        app = web.Application(client_max_size=0)  # no limit here, because a large body gets SageMaker's own error
        app.router.add_post("/endpoints/{endpoint}/invocations", self._invoke)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=self._timeout_s)
        )
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        if self._session:
            await self._session.close()
        self._listener.close()

    @property
    def running(self) -> int:
        """Number of calls in the container now."""
        return len(self._running)

    async def _invoke(self, request: web.Request) -> web.Response:
        name = request.match_info["endpoint"]
        if name != self.endpoint:
            return _error(400, "ValidationError", f"Endpoint {name} of account {self._account} not found.")
        variant = request.headers.get("X-Amzn-SageMaker-Target-Variant", VARIANT)
        if variant != VARIANT:
            return _error(400, "ValidationError", f"Variant {variant} of endpoint {name} not found.")
        if (request.content_length or 0) > BODY_LIMIT:
            return _too_large(request)
        if self.capacity is not None and self.running >= self.capacity:
            # SageMaker answers HTTP 400 without a message (github.com/opensearch-project/ml-commons/issues/2429).
            return _error(400, "ThrottlingException", None)
        task = asyncio.current_task()
        self._running.add(task)
        try:
            return await self._forward(request)
        finally:
            self._running.discard(task)

    async def _forward(self, request: web.Request) -> web.Response:
        assert self._session is not None  # noqa: S101 # requests arrive only between enter and exit
        body = await request.content.read()
        if len(body) > BODY_LIMIT:
            return _too_large(request)
        self.calls += 1
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in FORWARDED or name.lower().startswith(FORWARDED_PREFIX)
        }
        sent = io.BytesIO(body)
        try:
            async with self._session.post(f"{self._container_url}/invocations", data=sent, headers=headers) as answer:
                return self._answer(answer, await answer.read())
        except TimeoutError:
            return self._model_error(
                0, "Your invocation timed out while waiting for a response from container primary."
            )
        except aiohttp.ClientError:
            return _error(503, "ServiceUnavailable", "The service is currently unavailable.")

    def _answer(self, answer: aiohttp.ClientResponse, body: bytes) -> web.Response:
        if answer.status >= 400:
            return self._model_error(answer.status, body.decode(errors="replace"))
        headers = {
            "Content-Type": answer.headers.get("Content-Type", "application/octet-stream"),
            "x-Amzn-Invoked-Production-Variant": VARIANT,
            "x-amzn-RequestId": str(uuid.uuid4()),
        }
        if attributes := answer.headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return web.Response(body=body, headers=headers)

    def _model_error(self, status: int, message: str) -> web.Response:
        """Return SageMaker's response to a container's error.

        Source of its form: github.com/aws/sagemaker-python-sdk/issues/2955. Status 0 means that the container timed out
        (github.com/aws/amazon-sagemaker-examples/issues/799).
        """
        side = "client" if 400 <= status < 500 else "server"
        group = f"/aws/sagemaker/Endpoints/{self.endpoint}"
        return _error(
            424,
            "ModelError",
            f'Received {side} error ({status}) from primary with message "{message}". See {group} '
            f"in account {self._account} for more information.",
            ErrorCode=f"{side.upper()}_ERROR_FROM_MODEL",
            LogStreamArn=f"arn:aws:logs:{self._region}:{self._account}:log-group:{group}",
            OriginalMessage=message,
            OriginalStatusCode=status,
        )


def _too_large(request: web.Request) -> web.Response:
    """Return the only error without a type, for which botocore uses the status as the code.

    Source: github.com/aws/sagemaker-python-sdk/issues/171.
    """
    response = _error(413, None, f"HTTP content length exceeded {BODY_LIMIT} bytes.")
    if not request.content.is_eof():
        response.force_close()  # do not read the rest of the body
    return response


def _error(status: int, code: str | None, message: str | None, **members: object) -> web.Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())} | ({"x-amzn-ErrorType": code} if code else {})
    body = json.dumps({"Message": message, **members}).encode()
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")
