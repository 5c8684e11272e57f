"""Who may use the API: whoever has the bearer token or, where none is set, only this machine's own pages.

Without a token the service listens on loopback alone (settings refuse anything else). That is not enough against a
browser: a page from anywhere can send requests to 127.0.0.1, and a name that is pointed there by its owner makes them
look like its own. So the Host must be a loopback name, and a request that changes something must come from this origin.
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
        """Whether a token is asked for."""
        return self._digest is not None

    def check(self, request: web.Request) -> None:
        """Raise `Problem` where the request may not pass."""
        if self._digest is not None:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(given.strip()), self._digest):
                raise Problem(401, "A valid bearer token is needed.", headers=CHALLENGE)
            return
        if _name(request.host) not in LOOPBACK:
            raise Problem(403, "Without a token only this machine is served, under its own name.")
        if request.method not in SAFE_METHODS and _foreign(request):
            raise Problem(403, "Another site's page may not change anything here.")


def middleware(guard: Guard, *, free: frozenset[str] = frozenset()) -> Middleware:
    """Return the middleware that lets through what `guard` does, and the paths in `free`."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in free:
            guard.check(request)
        return await handler(request)

    return checked


async def token(settings: Settings) -> str | None:
    """Return the bearer token: the setting's, or what Secrets Manager holds under the secret's name."""
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
        raise SettingsError("RECEIPTS_API_TOKEN_SECRET: the secret has fewer than 16 characters")
    return secret


def _digest(text: str) -> bytes:
    """Equal lengths, so that comparing takes the same time whatever was sent."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _foreign(request: web.Request) -> bool:
    """Tell whether a browser says that another origin's page sent this; other programs say nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host
