"""The API and the console, mounted as two sub-applications of the worker's web server, apart from its health checks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from worker.console import auth, openapi, problems
from worker.console.api import BODY_BYTES, Api, ConsoleContext, answer, routes
from worker.console.auth import Guard
from worker.receipts.record import Record
from worker.results.image import link

STATIC: Final = "static"
MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
}


async def add_routes(app: web.Application, context: ConsoleContext) -> None:
    """Serve the API under /v1 and the console under /console/. Redirect / and /console to the console.

    Raises `SettingsError` if the token cannot be read.
    """
    guard = Guard(await auth.token(context.settings))
    for path in ("/", "/console"):
        app.router.add_get(path, _to_console)  # Must come before the sub-application with this prefix.
    app.add_subapp("/v1", _api(context, guard))
    app.add_subapp("/console", await _console(context))
    app.cleanup_ctx.append(lambda _: _sampling(context))


async def _sampling(context: ConsoleContext) -> AsyncIterator[None]:
    """Record the live history while the application runs."""
    task = asyncio.create_task(context.live.run(), name="live")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _api(context: ConsoleContext, guard: Guard) -> web.Application:
    free = frozenset({"/v1/openapi.json"})
    app = web.Application(
        middlewares=[
            _with_headers({"Cache-Control": "no-store"}),
            problems.middleware,
            auth.middleware(guard, free=free),
        ],
        client_max_size=BODY_BYTES,
    )
    app.router.add_routes(routes(Api(context)))
    document = openapi.document(secured=guard.wants_token)

    async def described(_: web.Request) -> web.Response:
        return answer(document)

    app.router.add_get("/openapi.json", described, allow_head=False)
    return app


async def _console(context: ConsoleContext) -> web.Application:
    policy = {"Content-Security-Policy": csp(await _images_from(context))}
    app = web.Application(middlewares=[_with_headers(policy | {"Cache-Control": "no-cache"}), problems.middleware])
    files = _static_files()

    async def page(request: web.Request) -> web.StreamResponse:
        file = files.get(request.match_info.get("name", "") or "index.html")
        if file is None or file.suffix not in MEDIA_TYPES:
            raise web.HTTPNotFound
        return web.FileResponse(file, headers={"Content-Type": f"{MEDIA_TYPES[file.suffix]}; charset=utf-8"})

    app.router.add_get("/", page)
    app.router.add_get("/{name}", page)
    return app


def _static_files() -> dict[str, Path]:
    """Return the console's files, by name. Nothing else is served."""
    return {file.name: file for file in Path(str(resources.files(__package__) / STATIC)).iterdir()}


async def _to_console(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/console/"})


async def _images_from(context: ConsoleContext) -> str:
    """Return the origin of links to images: that of S3 or of an emulator."""
    somewhere = Record(document=f"{context.settings.bucket}/x", status="failed", uploaded_at="", stored_at="")
    url = urlsplit(await link(context.aws.s3, somewhere, expires_s=1))
    return f"{url.scheme}://{url.netloc}"


def csp(images_from: str) -> str:
    """Return the console's Content-Security-Policy: nothing inline, and only images from another origin."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' blob: data: {images_from}",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _with_headers(more: dict[str, str]) -> Middleware:
    headers = _HEADERS | more

    @web.middleware
    async def middleware(request: web.Request, handler: problems.Handler) -> web.StreamResponse:
        response = await handler(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    return middleware
