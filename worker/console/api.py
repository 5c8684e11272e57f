"""The HTTP API, version 1: upload, list, show, correct, approve and replay receipts, and watch the queue."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web
from botocore.exceptions import ClientError
from pydantic import BaseModel, ValidationError

from worker.aws.clients import Clients
from worker.console.intake import Intake
from worker.console.live import Live, QueueDepth
from worker.console.problems import Problem
from worker.console.schemas import (
    Approving,
    Correcting,
    Counting,
    Listing,
    Nothing,
    Paging,
    Replaying,
    Uploading,
    Watching,
    document_of,
    id_of,
)
from worker.errors import Rejected
from worker.extraction.pages import ImageLimits
from worker.extraction.sandbox import prepare
from worker.receipts.document import timestamp
from worker.receipts.record import Record
from worker.receipts.text import printable_json
from worker.replay.manifest import Manifest, ReplayBusy
from worker.replay.replayer import Pace, Replayer, new_id
from worker.replay.sources import from_keys, uploads_of
from worker.results.image import link
from worker.results.query import Results
from worker.results.review import NotPossible, Outdated, Reviews
from worker.results.selection import BadQuery, Selection
from worker.results.stats import stats
from worker.settings import Settings

LINK_S: Final = 300
"""Seconds for which a link to an image is valid."""
BODY_BYTES: Final = 1_000_000
"""Largest body of a request, except for uploads."""
STATS_READ: Final = 50_000
"""Most records that statistics read. Beyond that, they are marked as incomplete."""
STATS_KEPT_S: Final = 20.0
"""Seconds for which statistics are cached."""
PREVIEW: Final = ImageLimits(max_side=1_600)
REPLAY_PACE: Final = Pace(per_s=1_000)
MIB: Final = 1024 * 1024

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class ConsoleContext:
    """The settings, clients and sources of live data that the API uses."""

    settings: Settings
    aws: Clients
    depth: QueueDepth
    live: Live
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)


class Api:
    """The request handlers."""

    def __init__(self, context: ConsoleContext) -> None:
        settings, aws = context.settings, context.aws
        self._context = context
        self._aws = aws
        self._now = context.now
        self._results = Results(aws.dynamodb, settings.table, clock=context.now)
        self._reviews = Reviews(aws.dynamodb, settings.table, now=lambda: timestamp(context.now()))
        self._upload_limit = round(settings.upload_limit_mib * MIB)
        self._intake = Intake(aws.s3, str(settings.bucket), limit_bytes=self._upload_limit)
        self._stats: dict[int, tuple[float, dict[str, Any]]] = {}
        self._counting = asyncio.Lock()
        self._previewing = asyncio.Semaphore(1)

    async def upload(self, request: web.Request) -> web.Response:
        """Store the body in the bucket as a new upload."""
        asked = query(request, Uploading)
        if request.content_length is not None and request.content_length > self._upload_limit:
            raise Problem(413, f"The file is larger than {self._upload_limit} bytes.")
        document = await self._intake.take(
            request.content, name=asked.name, media_type=request.content_type, now=self._now()
        )
        receipt_id = id_of(document)
        content = {"id": receipt_id, "document": document, "key": document.partition("/")[2]}
        return answer(content, status=202, headers={"Location": f"/v1/receipts/{receipt_id}"})

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of records."""
        asked = query(request, Listing)
        page = await self._results.page(asked.selection(), limit=asked.limit, cursor=asked.cursor)
        rows = [{"id": id_of(row.document), **row.as_json()} for row in page.rows]
        return answer({"receipts": rows, "cursor": page.cursor, "read": page.read, "index": page.index})

    async def get(self, request: web.Request) -> web.Response:
        """Return one whole record."""
        query(request, Nothing)
        return whole(await self._record(request))

    async def image(self, request: web.Request) -> web.Response:
        """Return a link to the image: as a redirect, or as JSON if the Accept header asks for it."""
        query(request, Nothing)
        record = await self._record(request)
        url = await link(self._aws.s3, record, expires_s=LINK_S)
        if "application/json" in request.headers.get("Accept", ""):
            return answer({"url": url, "media_type": record.media_type, "expires_s": LINK_S})
        return web.Response(status=302, headers={"Location": url})

    async def preview(self, request: web.Request) -> web.Response:
        """Return one page as a picture that every browser can display, upright and scaled down as for the endpoint."""
        page = query(request, Paging).page
        record = await self._record(request)
        async with self._previewing:  # One at a time, because decoding needs memory and a CPU.
            data = await self._fetch(record)
            try:
                prepared = await asyncio.get_running_loop().run_in_executor(None, prepare, data, PREVIEW)
            except Rejected as error:
                raise Problem(404, f"The file cannot be shown: {error.detail or error.reason}.") from error
        if page > len(prepared.pages):
            raise Problem(404, f"Page {page} does not exist; the file shows {len(prepared.pages)} pages.")
        shown = prepared.pages[page - 1]
        return web.Response(body=shown.data, content_type=shown.media_type)

    async def _fetch(self, record: Record) -> bytes:
        """Return the bytes of the upload of `record`. Raises `Problem` 404 if it is missing or too large."""
        bucket, _, key = record.document.partition("/")
        version: Any = {"VersionId": record.version_id} if record.version_id else {}
        try:
            reply = await self._aws.s3.get_object(Bucket=bucket, Key=key, **version)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
                raise
            raise Problem(404, "The bucket does not contain this file. It may have been deleted.") from error
        async with reply["Body"] as stream:
            if reply["ContentLength"] > self._upload_limit:
                raise Problem(404, f"The file is larger than {self._upload_limit} bytes.")
            return await stream.read()

    async def correct(self, request: web.Request) -> web.Response:
        """Store a person's corrections next to the model's values."""
        query(request, Nothing)
        document = _document(request)
        asked = await body(request, Correcting)
        try:
            record = await self._reviews.correct(
                document, asked.corrections, withdrawn=asked.withdraw, revision=asked.revision
            )
        except Outdated as error:
            raise Problem(409, f"{str(error)[0].upper()}{str(error)[1:]}.") from error
        except (ValueError, NotPossible) as error:
            raise Problem(422, str(error)) from error
        return whole(_found(record))

    async def approve(self, request: web.Request) -> web.Response:
        """Approve a record."""
        query(request, Nothing)
        document = _document(request)
        asked = await body(request, Approving)
        try:
            record = await self._reviews.approve(document, by=asked.by, revision=asked.revision)
        except (Outdated, NotPossible) as error:
            raise Problem(409, f"{str(error)[0].upper()}{str(error)[1:]}.") from error
        return whole(_found(record))

    async def replay(self, request: web.Request) -> web.Response:
        """Enqueue uploads again."""
        query(request, Nothing)
        asked = await body(request, Replaying)
        documents = [document_of(one) for one in asked.ids]
        replay_id = asked.replay_id or new_id(self._now())
        settings = self._context.settings
        manifest = Manifest(self._aws.dynamodb, settings.table, clock=time.time)
        chosen = uploads_of(from_keys(self._results, self._aws.s3, [[one] for one in documents]))
        try:
            await manifest.freeze(replay_id, chosen, force=asked.force, description="api")
            replayer = Replayer(
                sqs=self._aws.sqs,
                queue_url=str(settings.queue_url),
                results=self._results,
                manifest=manifest,
            )
            entry = await replayer.run(replay_id, pace=REPLAY_PACE, patience_s=3)
        except BadQuery as error:
            raise Problem(404, str(error)) from error
        except ReplayBusy as error:
            raise Problem(409, f"{error}; try again in a moment") from error
        return answer(_progress(entry), status=202, headers={"Location": f"/v1/replays/{replay_id}"})

    async def replayed(self, request: web.Request) -> web.Response:
        """Return the progress of a replay."""
        query(request, Nothing)
        manifest = Manifest(self._aws.dynamodb, self._context.settings.table, clock=time.time)
        entry = await manifest.find(request.match_info["replay_id"])
        if entry is None:
            raise Problem(404, "The replay does not exist.")
        return answer(_progress(entry))

    async def stats(self, request: web.Request) -> web.Response:
        """Return counts and sums over the records of the last days."""
        days = query(request, Counting).days
        async with self._counting:  # Only one request at a time reads many records.
            at, counted = self._stats.get(days, (float("-inf"), {}))
            if time.monotonic() - at > STATS_KEPT_S:
                midnight = dt.datetime.combine(self._now().date() - dt.timedelta(days=days - 1), dt.time.min, dt.UTC)
                found = await stats(self._results, Selection(uploaded_from=midnight), most_read=STATS_READ)
                counted = {"days_counted": days, **found.as_json()}
                self._stats[days] = time.monotonic(), counted
        return answer(counted)

    async def queue(self, request: web.Request) -> web.Response:
        """Return the depth of the queue."""
        query(request, Nothing)
        return answer(await self._context.depth.read())

    async def live(self, request: web.Request) -> web.Response:
        """Return the samples of the last minutes."""
        return answer(self._context.live.report(since=query(request, Watching).since))

    async def _record(self, request: web.Request) -> Record:
        return _found(await self._results.get(_document(request)))


def _document(request: web.Request) -> str:
    return document_of(request.match_info["id"])


def _found(record: Record | None) -> Record:
    if record is None:
        raise Problem(404, "The receipt does not exist. The record of a new upload appears once it is processed.")
    return record


def _progress(entry: Any) -> dict[str, Any]:
    return {"replay_id": entry.replay_id, "uploads": entry.total, "sent": entry.sent, "done": entry.done}


def whole(record: Record) -> web.Response:
    """Return `record` as the API's answer."""
    return answer({"id": id_of(record.document), **record.as_json()})


def answer(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return `content` as a JSON answer."""
    return web.Response(text=printable_json(content), status=status, content_type="application/json", headers=headers)


def query(request: web.Request, model: type[_Model]) -> _Model:
    """Return the query's parameters. Raises `Problem` 400, which names the wrong one."""
    given: dict[str, Any] = {}
    for name in request.query:
        values = request.query.getall(name)
        given[name] = values if name == "status" else values[0]
        if len(values) > 1 and name != "status":
            raise Problem(400, f"{name[:50]}: give this parameter only once.")
    return _valid(given, model, status=400)


async def body(request: web.Request, model: type[_Model]) -> _Model:
    """Return the parsed body. Raises `Problem`, which says what is wrong with it."""
    if request.content_type != "application/json":
        raise Problem(415, "The body must be application/json.")
    if (request.content_length or 0) > BODY_BYTES:
        raise Problem(413, f"The body is larger than {BODY_BYTES} bytes.")
    try:
        given = json.loads(await request.text())
    except (ValueError, RecursionError, LookupError) as error:
        raise Problem(400, "The body is not valid JSON.") from error
    return _valid(given, model, status=422)


def _valid(given: Any, model: type[_Model], *, status: int) -> _Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Problem(status, f"{where or 'body'}: {first['msg']}"[:500]) from error


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(api: Api) -> list[web.RouteDef]:
    """Return the routes below /v1."""
    return [
        web.post("/receipts", api.upload),
        web.get("/receipts", api.list, allow_head=False),
        web.get("/receipts/{id}", api.get, allow_head=False),
        web.get("/receipts/{id}/image", api.image, allow_head=False),
        web.get("/receipts/{id}/preview", api.preview, allow_head=False),
        web.patch("/receipts/{id}/corrections", api.correct),
        web.post("/receipts/{id}/approval", api.approve),
        web.post("/replays", api.replay),
        web.get("/replays/{replay_id}", api.replayed, allow_head=False),
        web.get("/stats", api.stats, allow_head=False),
        web.get("/queue", api.queue, allow_head=False),
        web.get("/live", api.live, allow_head=False),
    ]
