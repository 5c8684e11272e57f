"""Request templates: the parts that all requests of one kind share, learned from a request that botocore built."""

import calendar
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
from botocore.utils import normalize_url_path

from worker.aws.pool import Pool
from worker.aws.signature import ALGORITHM, STAMP, Credentials, Signer

_PER_REQUEST: Final = frozenset(
    {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "content-length",
        "x-amz-date",
        "x-amz-security-token",
    }
)
"""Headers that a template leaves out: they differ per request, or only feed AWS's statistics (amz-sdk-*)."""
_SHARED: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "content-type",
        "user-agent",
        "x-amz-content-sha256",
        "x-amz-target",
        "x-amzn-query-mode",
        "x-amzn-sagemaker-inference-component",
        "x-amzn-sagemaker-target-model",
        "x-amzn-sagemaker-target-variant",
    }
)
"""Headers that all requests of a kind share. A request with any other header, for example a Content-MD5 that an event
hook computed from the body, is unusual: botocore makes its calls."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """The parts that the requests of one kind share."""

    session: aiohttp.ClientSession
    through: dict[str, Any]
    """Arguments of each request that name the proxy, and the headers that aiohttp must not add."""
    method: str
    url: str
    """The URL without the part that varies: an object's key and version."""
    path: str
    """Canonical path of `url`, for the signature."""
    headers: dict[str, str]
    signer: Signer

    @classmethod
    async def of(
        cls, pool: Pool, request: Any, credentials: Credentials, *, key: str = "", query: str = ""
    ) -> "Template | None":
        """Return the template of `request`, which botocore built, or None if its kind is unusual.

        `key` and `query` are the percent-encoded end of its URL, which varies between requests of the kind.
        """
        headers = {name.lower(): text(value) for name, value in request.headers.items()}
        authorization = headers.get("authorization", "")
        scope = authorization.removeprefix(f"{ALGORITHM} Credential=").partition(", ")[0].split("/")
        ending = f"{key}?{query}" if query else key
        body = request.body or b""
        common = {name: value for name, value in headers.items() if name not in _PER_REQUEST}
        if (
            len(scope) != 5
            or not request.url.endswith(ending)
            or not isinstance(body, bytes)
            or common.keys() - _SHARED
        ):
            return None
        *_, region, service, _ = scope
        url = request.url.removesuffix(ending)
        address = urlsplit(url)
        path = address.path if service == "s3" else quote(normalize_url_path(address.path), safe="/~")
        names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        signed = {name: value for name, value in (common | {"host": address.netloc}).items() if name in names}
        signer = Signer(method=request.method, headers=signed, region=region, service=service)
        at = calendar.timegm(time.strptime(headers["x-amz-date"], STAMP))
        ours = signer.sign(credentials, at=at, path=path + key, query=query, payload_sha256=sha256(body).hexdigest())
        if ours["Authorization"] != authorization:
            return None
        session, through = await pool.session_for(url)
        if "content-type" not in common:  # aiohttp would add a default one
            through["skip_auto_headers"] = {"content-type"}
        common["accept-encoding"] = "identity"
        return cls(
            session=session, through=through, method=request.method, url=url, path=path, headers=common, signer=signer
        )


def text(value: str | bytes) -> str:
    """Return a header's value as text."""
    return value.decode() if isinstance(value, bytes) else value
