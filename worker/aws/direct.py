"""Direct calls: the calls of every receipt, at a fraction of botocore's CPU cost.

botocore spends most of a call's CPU on building the request: endpoint rules, event hooks, serialising and signing. Yet
the requests to one table or bucket differ only in their body or key. So botocore builds the first request of a kind,
and a `Template` keeps what the others share: URL, headers, signing scope, connection pool. A template is used only if
our signature of that request equals botocore's. Unusual calls (other arguments, other signatures, S3 redirects) always
go through botocore. Credentials, pools, parsers and errors are botocore's too, so that callers see no difference.
"""

import datetime as dt
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final, NoReturn, cast

import aiohttp
from aiobotocore.response import StreamingBody
from botocore.exceptions import HTTPClientError, ReadTimeoutError
from botocore.parsers import ResponseParser, ResponseParserError, ResponseParserFactory
from botocore.utils import parse_timestamp, percent_encode
from pydantic_core import from_json, to_json
from yarl import URL

from worker.aws.hashed import Hashed
from worker.aws.origin import is_from_aws
from worker.aws.pool import NotSent, Recording, recording
from worker.aws.signature import EMPTY_SHA256
from worker.aws.template import Template, text

_BUCKET_ELSEWHERE: Final = frozenset({301, 302, 307, 308, 400})
"""Statuses that may mean that the bucket is in another region; botocore finds out which."""

_AT_ONCE_BYTES: Final = 1_048_576
"""Largest body that is sent in one piece. A larger one would block the event loop while it is copied."""
_PIECE_BYTES: Final = 262_144


class Direct:
    """A botocore client whose frequent calls are direct; all other calls are botocore's."""

    def __init__(self, client: Any, credentials: Any, *, clock: Callable[[], float] = time.time) -> None:
        """`credentials` are those that `client` signs with; `clock` gives seconds since the epoch."""
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._parser = _parser(client)
        self._templates: dict[Hashable, Template | None] = {}

    def __getattr__(self, name: str) -> Any:
        """Return the attribute `name` of botocore's client."""
        return getattr(self._client, name)

    async def _template(self, kind: Hashable, call: Callable[[], Awaitable[Any]], **ending: str) -> Template | None:
        """Return the template of `kind`, or None if botocore must make its calls.

        `call` makes one call of that kind through botocore. It is recorded and not sent.
        """
        if kind not in self._templates:
            with recording(send=False) as recorded, suppress(NotSent):
                await call()
            await self._learn(kind, recorded, **ending)
        return self._templates.get(kind)

    async def _learn(self, kind: Hashable, recorded: Recording, **ending: str) -> None:
        """Make the last recorded request the template of `kind`."""
        pool, request = recorded.requests[-1]
        credentials = await self._credentials.get_frozen_credentials()
        if f"={credentials.access_key}/" in text(request.headers.get("Authorization", "")):  # not rotated since
            self._templates[kind] = await Template.of(pool, request, credentials, **ending)

    async def _send(
        self, template: Template, *, body: bytes | None = None, key: str = "", query: str = ""
    ) -> aiohttp.ClientResponse:
        """Send a request made from `template` and return the response, its body still unread."""
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
        """Raise the ClientError that `response` describes. Its status is not 200.

        Raises `ResponseParserError` for a success status that `operation` does not have.
        """
        with _BotocoresErrors(str(response.url)):
            body = await response.read()
        if response.status < 300:  # No operation here has such a success, so the call may have had no effect.
            raise ResponseParserError(f"{operation} was answered with the unexpected status {response.status}")
        service = self._client.meta.service_model
        parts = {"status_code": response.status, "headers": response.headers, "body": body, "context": {}}
        try:
            reply: Any = self._parser.parse(parts, service.operation_model(operation).output_shape)
            if (code := reply["Error"].get("Code")) and (shape := service.shape_for_error_code(code)):
                reply.update(self._parser.parse(parts, shape))  # Some errors carry more fields: an item, a status.
        except Exception:  # noqa: BLE001 # A proxy answered instead of AWS. The status is still useful.
            reply = {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": response.status}}
        about = reply["Error"]
        # SQS has two codes per error. Its exceptions are named after QueryErrorCode.
        raise self._client.exceptions.from_code(about.get("QueryErrorCode") or about.get("Code"))(reply, operation)


class DirectStream(Direct):
    """A client of a service whose reply is a byte stream, with all other members in headers: S3, SageMaker."""

    def __init__(self, client: Any, credentials: Any, *, operation: str, **more: Any) -> None:
        """`operation` is the API name of the direct operation."""
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
        """Return the reply in `response`: the same as botocore's parser returns, at a tenth of its cost."""
        reply: dict[str, Any] = {name: {} for name in self._prefixes.values()}
        for header, value in response.headers.items():
            low = header.lower()
            if low in self._headers:
                name, read = self._headers[low]
                with suppress(ValueError):  # An invalid date is left out; the bytes are still good.
                    reply[name] = read(value)
            else:
                for prefix, name in self._prefixes.items():
                    if low.startswith(prefix):
                        reply[name][low.removeprefix(prefix)] = value
        reply["Body"] = _stream(response)
        reply["ResponseMetadata"] = {"HTTPStatusCode": response.status}
        return reply


class DirectJson(Direct):
    """A client of a service that speaks JSON: SQS, DynamoDB."""

    def __init__(self, client: Any, credentials: Any, *, calls: Iterable[str], kind: str, **more: Any) -> None:
        """Make the methods `calls` direct. Calls of one method with the same argument `kind` share a template."""
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
            raise ResponseParserError(f"the answer to {method} is not valid JSON") from error
        if not isinstance(reply, dict):
            raise ResponseParserError(f"the answer to {method} is not a JSON object")
        reply["ResponseMetadata"] = {"HTTPStatusCode": 200}
        return reply


class DirectS3(DirectStream):
    """An S3 client that fetches objects directly."""

    def __init__(self, client: Any, credentials: Any, **more: Any) -> None:
        super().__init__(client, credentials, operation="GetObject", **more)

    async def get_object(self, **arguments: Any) -> Any:
        """Return what botocore's `get_object` returns. Calls with arguments besides these three go through botocore."""
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
            if not is_from_aws(response.headers):
                response.close()
                raise ResponseParserError("GetObject was answered without a request id: a proxy answered instead of S3")
            return self._streamed(response)
        if response.status not in _BUCKET_ELSEWHERE:
            await self._refuse("GetObject", response)
        response.release()
        with recording(send=True) as recorded:
            try:
                reply = await by_botocore()
            except RecursionError as error:
                raise ResponseParserError(f"S3 redirects endlessly for the bucket {bucket!r}") from error
        await self._learn(bucket, recorded, key=key, query=query)
        return reply


class DirectSageMaker(DirectStream):
    """A SageMaker runtime client that invokes endpoints directly."""

    def __init__(self, client: Any, credentials: Any, **more: Any) -> None:
        super().__init__(client, credentials, operation="InvokeEndpoint", **more)

    async def invoke_endpoint(self, *, Body: Any, **arguments: Any) -> Any:  # noqa: N803 # botocore's name
        """Return what botocore's `invoke_endpoint` returns. A body that is not in memory goes through botocore."""
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
    made: Any = StreamingBody  # its published types expect botocore's raw stream
    return cast("StreamingBody", made(response, response.headers.get("Content-Length")))


class _BotocoresErrors:
    """A context manager that raises aiohttp's errors as those of botocore."""

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
    """Return botocore's parser for the replies of `client`, with a faster parser of HTTP dates."""
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=_moment)
    return factory.create_parser(client.meta.service_model.resolved_protocol)


def _moment(value: Any) -> dt.datetime:
    try:
        return parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)


def _reader(type_name: str) -> Callable[[str], Any]:
    """Return the function that converts a header's value to the botocore type `type_name`."""
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
