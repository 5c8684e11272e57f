"""`receipts console`: the console and its API without a worker, for example on a laptop for a table on AWS."""

import asyncio
import signal
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from worker.errors import SettingsError

if TYPE_CHECKING:
    from aiohttp.web import AppRunner, Response

    from worker.settings import Settings


def command(
    *,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.", show_default="RECEIPTS_HTTP_PORT")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the console in the browser.")] = False,
) -> None:
    """Serve the console and its API for the configured table, queue and bucket, until Ctrl-C.

    On 127.0.0.1 it needs no token. On any other address set RECEIPTS_API_TOKEN.
    """
    from worker.settings import load

    settings = load(console=True, **({} if port is None else {"http_port": port}))
    settings.require("queue_url", "bucket")
    asyncio.run(_serve(settings, open_browser=open_browser))


async def _serve(settings: "Settings", *, open_browser: bool) -> None:
    from aiohttp import web

    from worker.aws.clients import clients
    from worker.console import routes
    from worker.console.api import ConsoleContext
    from worker.console.fleet import Fleet
    from worker.console.live import Live, QueueDepth
    from worker.messages.queue import open_queue
    from worker.telemetry import Telemetry, configure_logging

    configure_logging(level=settings.log_level, style=settings.log_format)
    async with clients(settings, attempts=3) as aws:
        queue = await open_queue(aws.sqs, str(settings.queue_url), max_receive_count=1)
        depth = QueueDepth(aws.sqs, queue.url)
        live = Live(depth, Telemetry(service=settings.service), Fleet().count)
        app = web.Application()
        for path in ("/health", "/ready"):
            app.router.add_get(path, _alive)
        await routes.add_routes(app, ConsoleContext(settings=settings, aws=aws, depth=depth, live=live))
        runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await runner.setup()
        try:
            await _listen(runner, settings)
            address = f"http://{settings.http_host}:{runner.addresses[0][1]}/"
            typer.echo(f"Console: {address}", err=True)
            if open_browser:
                webbrowser.open(address)
            await _stop_signal()
        finally:
            await runner.cleanup()


async def _alive(_: object) -> "Response":
    from aiohttp import web

    return web.json_response({"status": "ok"})


async def _listen(runner: "AppRunner", settings: "Settings") -> None:
    from aiohttp import web

    try:
        await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    except OSError as error:
        raise SettingsError(
            f"RECEIPTS_HTTP_PORT: cannot listen on {settings.http_host}:{settings.http_port} ({error.strerror}). "
            "Set another port, or 0 for any free port."
        ) from error


async def _stop_signal() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
