"""Errors of the API as problem details: application/problem+json (www.rfc-editor.org/rfc/rfc9457)."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from worker.errors import DependencyFault, ReceiptsError
from worker.receipts.text import printable_json
from worker.results.selection import BadQuery

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5


class Problem(ReceiptsError):
    """An error that the API answers: an HTTP status and a sentence for the caller."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def response(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return the answer that describes a problem."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return web.Response(
        text=printable_json(content), status=status, content_type=MEDIA_TYPE, charset="utf-8", headers=headers
    )


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception of a handler into a problem answer that reveals no internals of the worker or of AWS."""
    try:
        return await handler(request)
    except Problem as problem:
        return response(problem.status, problem.detail, problem.headers)
    except BadQuery as error:
        return response(400, str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return response(error.status, _sentence(error), allow)
    except web.RequestPayloadError:
        answer = response(400, "The body cannot be read: its encoding is wrong, or it was cut off.")
        answer.force_close()  # The rest of the body could be taken for the next request.
        return answer
    except (BotoCoreError, ClientError, DependencyFault) as error:
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
        log.warning("api.dependency_fault", error=type(error).__name__, code=code)
        return response(503, "A call to AWS failed; try again.", {"Retry-After": str(RETRY_AFTER_S)})
    except Exception as error:
        log.exception("api.fault", error=type(error).__name__)
        return response(500, "Internal error; see the worker's log.")


def _sentence(error: web.HTTPException) -> str:
    sentences = {
        404: "This path does not exist; see /v1/openapi.json for all paths.",
        405: "This path does not support the method.",
        413: "The body is too large.",
    }
    return sentences.get(error.status, error.reason)
