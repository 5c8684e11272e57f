"""The reader's HTTP server, which implements the container contract of SageMaker's real-time endpoints.

`GET /ping` answers 200 when the reader is ready, 503 before. `POST /invocations` takes one picture (`image/*` bytes or
JSON `{"image": base64}`) or the pages of one receipt (JSON `{"images": [base64, …]}`), and answers with the JSON of
`worker.receipts.receipt.Reading`. Errors are JSON `{"error": sentence}`: 400 not a picture, 413 too large, 415
unsupported media type, 503 try again. Contract:
docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from worker.reader.invocation import BadCallError, answer
from worker.reader.pool import Pool, PoolBusyError, PoolLostError

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""More than SageMaker accepts (6,291,456 bytes), because the container also runs elsewhere."""

WAITING_PER_PROCESS: Final = 20
"""Calls that may wait for each process. A call takes about 2 s, so a longer queue would exceed SageMaker's 60 s."""

log = structlog.get_logger()

POOL: Final = web.AppKey("pool", Pool)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def create_app(
    *, processes: int | None = None, threads: int | None = None, waiting: int | None = None
) -> web.Application:
    """Return the server's application.

    `processes`: parallel readers of about 0.7 GB each; default: one per core, at most 4. `threads`: threads of each;
    default: cores divided by processes. `waiting`: calls that wait at most; further ones are refused.
    """
    processes = processes or min(cores(), 4)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors_as_json])
    app[POOL] = Pool(
        processes=processes,
        threads=threads or max(1, cores() // processes),
        waiting=waiting or WAITING_PER_PROCESS * processes,
    )
    app.cleanup_ctx.append(_pool)
    app.router.add_get("/ping", _ping)
    app.router.add_post("/invocations", _invocations)
    return app


async def _pool(app: web.Application) -> AsyncIterator[None]:
    app[POOL].start()
    yield
    await app[POOL].stop()


async def _ping(request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"}) if request.app[POOL].ready else _error(503, "The reader is starting.")


async def _invocations(request: web.Request) -> web.Response:
    body = await request.read()
    pool = request.app[POOL]
    await pool.wait_ready()
    return web.Response(body=await pool.run(answer, body, request.content_type), content_type="application/json")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadCallError as error:
        return _error(error.status, str(error))
    except (PoolLostError, PoolBusyError) as error:
        return _error(503, str(error))
    except web.HTTPException as error:
        return _error(error.status, error.reason)
    except Exception as error:  # noqa: BLE001 - its text may have receipt content, so only its type is reported
        log.error("reader.call.failed", error=type(error).__name__)  # noqa: TRY400 - so may a traceback
        return _error(500, f"The reader failed: {type(error).__name__}.")


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


def run(*, host: str, port: int, processes: int | None, threads: int | None) -> None:
    """Serve until SIGTERM or SIGINT. The log has one JSON object per line, or readable text on a terminal."""
    if not sys.stdout.isatty():
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ]
        )
    web.run_app(
        create_app(processes=processes, threads=threads),
        host=host,
        port=port,
        print=None,
        access_log=None,
        shutdown_timeout=10,
        handler_cancellation=True,  # calls whose client is gone are not read
    )
