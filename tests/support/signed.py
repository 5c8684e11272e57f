"""A stand-in for AWS that checks signatures with botocore's signer. The emulators do not check them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


async def _empty(_: web.Request, __: bytes) -> web.StreamResponse:
    return web.json_response({})


async def _add_request_id(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("x-amz-request-id", "TESTREQUEST")


@dataclass
class SignedAws:
    """A server that answers requests signed with one of its keys, and answers 403 to all others."""

    keys: dict[str, ReadOnlyCredentials]
    answer: Answer = _empty
    requests: list[web.Request] = field(default_factory=list)
    """The requests with a valid signature."""
    refused: int = 0
    request_ids: bool = True
    """Whether answers have the header that every answer of AWS has."""
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        body = await request.read()
        if not self._rightly_signed(request, body):
            self.refused += 1
            return web.json_response({"__type": "InvalidSignatureException"}, status=403)
        self.requests.append(request)
        return await self.answer(request, body)

    def _rightly_signed(self, request: web.Request, body: bytes) -> bool:
        credential, names, signature = (
            part.partition("=")[2] for part in request.headers["Authorization"].partition(" ")[2].split(", ")
        )
        key, _, region, service, _ = credential.split("/")
        credentials = self.keys.get(key)
        if credentials is None or request.headers.get("X-Amz-Security-Token") != credentials.token:
            return False
        signed = {name: request.headers[name] for name in names.split(";") if name != "host"}
        theirs = AWSRequest(request.method, f"http://{request.host}{request.raw_path}", signed, body)
        theirs.context["timestamp"] = request.headers["X-Amz-Date"]
        auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region)
        text = auth.string_to_sign(theirs, auth.canonical_request(theirs))
        return bool(auth.signature(text, theirs) == signature)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["SignedAws"]:
        """Listen on a free port of loopback."""
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self.handle)
        if self.request_ids:
            app.on_response_prepare.append(_add_request_id)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()
