"""The calls of every receipt, past botocore: it makes the first of a kind, and the following are made like that one.

Most of a call's CPU is botocore's own: endpoint rules, event hooks, serialising and signing put each request together
anew, though those to one table or bucket differ in nothing but their body or key. So the first goes through botocore,
and what it sent is kept as a template: address, headers, signature's scope, connection pool. A template is used only if
our signature of that same request is botocore's to the letter; whatever is unusual (other arguments, other kinds of
signature, an S3 redirect) goes through botocore for good. Credentials, pools, parsers and errors are botocore's too, so
that nobody who calls sees a difference.
"""

import calendar
import datetime as dt
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final, NoReturn, cast
from urllib.parse import quote, urlsplit

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.response import StreamingBody
from botocore.exceptions import HTTPClientError, ReadTimeoutError
from botocore.httpsession import ProxyConfiguration
from botocore.parsers import ResponseParser, ResponseParserError, ResponseParserFactory
from botocore.utils import normalize_url_path, parse_timestamp, percent_encode
from pydantic_core import from_json, to_json
from yarl import URL

from worker.aws.hashed import Hashed
from worker.aws.signature import ALGORITHM, EMPTY_SHA256, STAMP, Credentials, Signer

_OF_ONE_REQUEST: Final = frozenset(
    {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "content-length",
        "x-amz-date",
        "x-amz-security-token",
    }
)
"""Headers that are made anew for each request, or told to AWS only for its statistics (amz-sdk-*)."""
_BUCKET_ELSEWHERE: Final = frozenset({301, 302, 307, 308, 400})
"""Statuses that may mean that the bucket is in another region; botocore finds out which."""

_AT_ONCE_BYTES: Final = 1_048_576
"""Largest body that goes out in one piece: a larger one would hold up everything else in this process."""
_PIECE_BYTES: Final = 262_144

_notes: ContextVar["_Notes | None"] = ContextVar("notes", default=None)


class _Held(Exception):  # nothing went wrong
    """A request was put together to be looked at, and not sent."""


@dataclass
class _Notes:
    """What the current task's calls of botocore put together."""

    hold: bool
    """Send nothing."""
    requests: list[tuple["Pool", Any]] = field(default_factory=list)


@contextmanager
def _noting(*, hold: bool) -> Iterator[_Notes]:
    notes = _Notes(hold)
    before = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(before)


class Pool(AIOHTTPSession):
    """The connections of one client: aiobotocore's own, which botocore and the direct calls share."""

    def __init__(self, *arguments: Any, whole_s: float | None = None, **more: Any) -> None:
        """`whole_s` bounds a call up to its answer's last byte: botocore's own limits begin anew with each."""
        super().__init__(*arguments, **more)
        if whole_s:  # which bounds each part as well: a timer for each would cost a twentieth of a call
            self._timeout = aiohttp.ClientTimeout(total=whole_s, sock_connect=self._timeout.sock_connect)
        self._plain: dict[str | None, aiohttp.ClientSession] = {}

    # Of the base class, but not in its published types.
    _exit_stack: AsyncExitStack
    _proxy_config: ProxyConfiguration
    _timeout: aiohttp.ClientTimeout
    _get_session: Callable[[str | None], Awaitable[aiohttp.ClientSession]]

    async def send(self, request: Any) -> Any:
        """Send a request that botocore has put together."""
        if notes := _notes.get():
            notes.requests.append((self, request))
            if notes.hold:
                raise _Held
        return await super().send(request)

    async def session_for(self, url: str) -> tuple[aiohttp.ClientSession, dict[str, Any]]:
        """Return the session that requests to `url` are sent through, and the arguments that name its proxy.

        It has the connections of botocore's session, but keeps no cookies, and its requests take less to put together.
        """
        proxy = self._proxy_config.proxy_url_for(url)
        if proxy not in self._plain:
            botocores = await self._get_session(proxy)
            self._plain[proxy] = await self._exit_stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=botocores.connector,
                    connector_owner=False,
                    timeout=botocores.timeout,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                )
            )
        through = {"proxy": proxy, "proxy_headers": self._proxy_config.proxy_headers_for(url)} if proxy else {}
        return self._plain[proxy], through


@dataclass(frozen=True, kw_only=True)
class Template:
    """What the requests of one kind have in common."""

    session: aiohttp.ClientSession
    through: dict[str, Any]
    method: str
    url: str
    """Up to what differs: an object's key and version."""
    path: str
    """Canonical path of `url`, for the signature."""
    headers: dict[str, str]
    signer: Signer

    @classmethod
    async def of(
        cls, pool: Pool, request: Any, credentials: Credentials, *, key: str = "", query: str = ""
    ) -> "Template | None":
        """Return the template that `request`, as botocore sent it, is made by; None where it is of an unusual kind.

        `key` and `query` are what the end of its address says, percent-encoded: in others of its kind they differ.
        """
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        authorization = headers.get("authorization", "")
        scope = authorization.removeprefix(f"{ALGORITHM} Credential=").partition(", ")[0].split("/")
        ending = f"{key}?{query}" if query else key
        body = request.body or b""
        if len(scope) != 5 or not request.url.endswith(ending) or not isinstance(body, bytes):
            return None
        *_, region, service, _ = scope
        url = request.url.removesuffix(ending)
        address = urlsplit(url)
        path = address.path if service == "s3" else quote(normalize_url_path(address.path), safe="/~")
        common = {name: value for name, value in headers.items() if name not in _OF_ONE_REQUEST}
        names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        signed = {name: value for name, value in (common | {"host": address.netloc}).items() if name in names}
        signer = Signer(method=request.method, headers=signed, region=region, service=service)
        at = calendar.timegm(time.strptime(headers["x-amz-date"], STAMP))
        ours = signer.sign(credentials, at=at, path=path + key, query=query, payload_sha256=sha256(body).hexdigest())
        if ours["Authorization"] != authorization:
            return None
        session, through = await pool.session_for(url)
        if "content-type" not in common:  # aiohttp would say one
            through["skip_auto_headers"] = {"content-type"}
        common["accept-encoding"] = "identity"
        return cls(
            session=session, through=through, method=request.method, url=url, path=path, headers=common, signer=signer
        )


class Direct:
    """A client of botocore whose hot calls are direct; all its others are botocore's."""

    def __init__(self, client: Any, credentials: Any, *, clock: Callable[[], float] = time.time) -> None:
        """`credentials` are those that `client` signs with; `clock` gives seconds since the epoch."""
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._parser = _parser(client)
        self._templates: dict[Hashable, Template | None] = {}

    def __getattr__(self, name: str) -> Any:
        """Return what botocore's client has under `name`."""
        return getattr(self._client, name)

    async def _template(self, kind: Hashable, call: Callable[[], Awaitable[Any]], **ending: str) -> Template | None:
        """Return the template of `kind`, or None where its calls are botocore's; `call` is one of them, by botocore."""
        if kind not in self._templates:
            with _noting(hold=True) as notes, suppress(_Held):
                await call()
            await self._learn(kind, notes, **ending)
        return self._templates.get(kind)

    async def _learn(self, kind: Hashable, notes: _Notes, **ending: str) -> None:
        """Keep as the template of `kind` how the last of the noted requests was made."""
        pool, request = notes.requests[-1]
        credentials = await self._credentials.get_frozen_credentials()
        if f"={credentials.access_key}/" in _text(request.headers.get("Authorization", "")):  # they are still the same
            self._templates[kind] = await Template.of(pool, request, credentials, **ending)

    async def _send(
        self, template: Template, *, body: bytes | None = None, key: str = "", query: str = ""
    ) -> aiohttp.ClientResponse:
        """Return the beginning of the answer to a request that is made by `template`."""
        credentials = await self._credentials.get_frozen_credentials()
        signed = template.signer.sign(
            credentials,
            at=self._clock(),
            path=template.path + key,
            query=query,
            payload_sha256=_sha256(body) if body else EMPTY_SHA256,
        )
        url = f"{template.url}{key}?{query}" if query else template.url + key
        data: bytes | AsyncIterator[bytes] | None = body
        if body and len(body) > _AT_ONCE_BYTES:
            data, signed = _pieces(body), signed | {"Content-Length": str(len(body))}
        with _BotocoresErrors(url):
            return await template.session.request(
                template.method,
                URL(url, encoded=True),
                data=data,
                headers=template.headers | signed,
                allow_redirects=False,
                **template.through,
            )

    async def _refuse(self, operation: str, response: aiohttp.ClientResponse) -> NoReturn:
        """Raise the ClientError that `response`, whose status is not 200, is; what is no answer is unreadable."""
        with _BotocoresErrors(str(response.url)):
            body = await response.read()
        if response.status < 300:  # none of these operations has such a success: nothing was certainly done
            raise ResponseParserError(f"{operation} was answered with status {response.status}")
        service = self._client.meta.service_model
        parts = {"status_code": response.status, "headers": response.headers, "body": body, "context": {}}
        try:
            reply: Any = self._parser.parse(parts, service.operation_model(operation).output_shape)
            if (code := reply["Error"].get("Code")) and (shape := service.shape_for_error_code(code)):
                reply.update(self._parser.parse(parts, shape))  # some say more than their code: an item, a status
        except Exception:  # noqa: BLE001 # somebody between us and AWS answers in its stead: the status still says what
            reply = {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": response.status}}
        about = reply["Error"]
        # SQS has two names for each error; its exceptions go by the newer one.
        raise self._client.exceptions.from_code(about.get("QueryErrorCode") or about.get("Code"))(reply, operation)


class DirectStream(Direct):
    """A client of a service whose replies are bytes, with whatever else they say in their headers: S3, SageMaker."""

    def __init__(self, client: Any, credentials: Any, *, operation: str, **more: Any) -> None:
        """`operation` is the one that is made direct, by its name in the API."""
        super().__init__(client, credentials, **more)
        shape = client.meta.service_model.operation_model(operation).output_shape
        self._headers: dict[str, tuple[str, Callable[[str], Any]]] = {}
        self._prefixes: dict[str, str] = {}
        for name, member in shape.members.items():
            where = member.serialization.get("location")
            called = str(member.serialization.get("name", name)).lower()
            if where == "header":
                self._headers[called] = (name, _reader(member.type_name))
            elif where == "headers":
                self._prefixes[called] = name

    def _streamed(self, response: aiohttp.ClientResponse) -> Any:
        """Return the reply that `response` has: what botocore's parser gives, at a tenth of its cost."""
        reply: dict[str, Any] = {name: {} for name in self._prefixes.values()}
        for header, value in response.headers.items():
            low = header.lower()
            if low in self._headers:
                name, read = self._headers[low]
                with suppress(ValueError):  # a date that is none is no reason to go without the bytes
                    reply[name] = read(value)
            else:
                for prefix, name in self._prefixes.items():
                    if low.startswith(prefix):
                        reply[name][low.removeprefix(prefix)] = value
        reply["Body"] = _stream(response)
        reply["ResponseMetadata"] = {"HTTPStatusCode": response.status}
        return reply


class DirectJson(Direct):
    """A client of a service that takes and gives JSON: SQS, DynamoDB."""

    def __init__(self, client: Any, credentials: Any, *, calls: Iterable[str], kind: str, **more: Any) -> None:
        """Make `calls`, by the names of the client's methods, direct; those with the same argument `kind` are alike."""
        super().__init__(client, credentials, **more)
        self._kind = kind
        for name in calls:
            setattr(self, name, partial(self._json, name))

    async def _json(self, method: str, **arguments: Any) -> Any:
        def by_botocore() -> Any:
            return getattr(self._client, method)(**arguments)

        kind = (method, arguments.get(self._kind))
        template = self._templates.get(kind) or await self._template(kind, by_botocore)
        if template is None:
            return await by_botocore()
        response = await self._send(template, body=to_json(arguments))
        if response.status != 200:
            await self._refuse(self._client.meta.method_to_api_mapping[method], response)
        with _BotocoresErrors(template.url):
            body = await response.read()
        try:
            reply: Any = from_json(body)
        except ValueError as error:
            raise ResponseParserError(f"{method} was answered with what is no JSON") from error
        if not isinstance(reply, dict):
            raise ResponseParserError(f"{method} was answered with what is no JSON object")
        reply["ResponseMetadata"] = {"HTTPStatusCode": 200}
        return reply


class DirectS3(DirectStream):
    """S3, whose objects are fetched directly."""

    def __init__(self, client: Any, credentials: Any, **more: Any) -> None:
        super().__init__(client, credentials, operation="GetObject", **more)

    async def get_object(self, **arguments: Any) -> Any:
        """Return what botocore's `get_object` returns; with other arguments than these three it is botocore's."""
        if arguments.keys() - {"Bucket", "Key", "VersionId"}:
            return await self._client.get_object(**arguments)
        bucket = arguments["Bucket"]
        key = percent_encode(arguments["Key"], safe="/~")
        version = arguments.get("VersionId")
        query = f"versionId={percent_encode(version)}" if version else ""

        def by_botocore() -> Any:
            return self._client.get_object(**arguments)

        template = self._templates.get(bucket) or await self._template(bucket, by_botocore, key=key, query=query)
        if template is None:
            return await by_botocore()
        response = await self._send(template, key=key, query=query)
        if response.status == 200:
            return self._streamed(response)
        if response.status not in _BUCKET_ELSEWHERE:
            await self._refuse("GetObject", response)
        response.release()
        with _noting(hold=False) as notes:
            try:
                reply = await by_botocore()
            except RecursionError as error:
                raise ResponseParserError("the bucket is always elsewhere") from error
        await self._learn(bucket, notes, key=key, query=query)
        return reply


class DirectSageMaker(DirectStream):
    """SageMaker's runtime, whose endpoints are invoked directly."""

    def __init__(self, client: Any, credentials: Any, **more: Any) -> None:
        super().__init__(client, credentials, operation="InvokeEndpoint", **more)

    async def invoke_endpoint(self, *, Body: Any, **arguments: Any) -> Any:  # noqa: N803 # botocore's name
        """Return what botocore's `invoke_endpoint` returns; a body that is not in memory is botocore's to send."""
        body = Body.getvalue() if isinstance(Body, io.BytesIO) else Body
        if not isinstance(body, bytes):
            return await self._client.invoke_endpoint(Body=Body, **arguments)
        kind = tuple(arguments.items())
        template = self._templates.get(kind) or await self._template(
            kind, lambda: self._client.invoke_endpoint(Body=body, **arguments)
        )
        if template is None:
            return await self._client.invoke_endpoint(Body=Body, **arguments)
        response = await self._send(template, body=body)
        if response.status != 200:
            await self._refuse("InvokeEndpoint", response)
        return self._streamed(response)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), _PIECE_BYTES):
        yield body[at : at + _PIECE_BYTES]


def _stream(response: aiohttp.ClientResponse) -> StreamingBody:
    made: Any = StreamingBody  # its published types are those of botocore's
    return cast("StreamingBody", made(response, response.headers.get("Content-Length")))


class _BotocoresErrors:
    """A block in which what aiohttp raises is raised as botocore's clients do."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, TimeoutError):
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        if isinstance(error, aiohttp.ClientError | OSError):
            raise HTTPClientError(error=error) from error


def _parser(client: Any) -> ResponseParser:
    """Return botocore's parser of `client`'s replies, with a quicker way to read the dates of HTTP."""
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=_moment)
    return factory.create_parser(client.meta.service_model.resolved_protocol)


def _moment(value: Any) -> dt.datetime:
    try:
        return parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)


def _reader(type_name: str) -> Callable[[str], Any]:
    """Return what reads a header that holds a value of one of botocore's types."""
    match type_name:
        case "integer" | "long":
            return int
        case "boolean":
            return "true".__eq__
        case "timestamp":
            return _moment
        case _:
            return str


def _sha256(body: bytes) -> str:
    return body.sha256 if isinstance(body, Hashed) else sha256(body).hexdigest()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
