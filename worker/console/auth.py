"""Access to the API: requests need the bearer token or, if none is set, must come from this machine's own pages.

Without a token the service listens on loopback only (the settings refuse anything else). That does not stop a browser:
any web page can send requests to 127.0.0.1. With DNS rebinding, such a request even looks like a same-origin one. So
the Host must be a loopback name, and a request that changes something must come from this origin.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from worker.aws.clients import session
from worker.console.problems import Handler, Problem
from worker.errors import SettingsError
from worker.settings import LOOPBACK, Settings

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="receipts"'}


class Guard:
    """Decides whether a request may pass."""

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token)

    @property
    def wants_token(self) -> bool:
        """Whether requests need a token."""
        return self._digest is not None

    def check(self, request: web.Request) -> None:
        """Raise `Problem` if the request may not pass."""
        if self._digest is not None:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(given.strip()), self._digest):
                raise Problem(401, "Send a valid bearer token.", headers=CHALLENGE)
            return
        if _name(request.host) not in LOOPBACK:
            raise Problem(403, "Without a token, the API is only available under localhost or 127.0.0.1.")
        if request.method not in SAFE_METHODS and _foreign(request):
            raise Problem(403, "Pages of other sites may not change anything here.")


def middleware(guard: Guard, *, free: frozenset[str] = frozenset()) -> Middleware:
    """Return the middleware that applies `guard` to every path except those in `free`."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in free:
            guard.check(request)
        return await handler(request)

    return checked


async def token(settings: Settings) -> str | None:
    """Return the bearer token from the setting or from Secrets Manager, or None if none is set.

    Raises `SettingsError` if the secret cannot be read or is too short.
    """
    if settings.api_token is not None:
        return settings.api_token.get_secret_value()
    if settings.api_token_secret is None:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        async with session().client("secretsmanager") as client:
            answer = await client.get_secret_value(SecretId=settings.api_token_secret)
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"RECEIPTS_API_TOKEN_SECRET: the secret cannot be read ({type(error).__name__})") from error
    secret = str(answer.get("SecretString", "")).strip()
    if len(secret) < 16:
        raise SettingsError("RECEIPTS_API_TOKEN_SECRET: the secret is shorter than 16 characters; store a longer one")
    return secret


def _digest(text: str) -> bytes:
    """Return a digest of `text`. Digests have equal lengths, so comparing them takes the same time for any input."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _foreign(request: web.Request) -> bool:
    """Return whether a browser reports that a page of another origin sent this. Other programs report nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host
