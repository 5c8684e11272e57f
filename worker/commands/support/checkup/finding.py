"""The interface of a check: it examines one part of an installation and returns its state, or raises a `Fault`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from worker.aws.clients import Clients
from worker.aws.resources import ResourceSpecs
from worker.settings import PREFIX, Settings

if TYPE_CHECKING:
    from types_aiobotocore_sts import STSClient

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str
    status: Status
    detail: str
    cure: str | None = None
    """The fix for a failure."""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {"check": self.check, "status": self.status, "detail": self.detail, "cure": self.cure}


class Fault(Exception):
    """A failed check, with what is wrong and its cure."""

    def __init__(self, detail: str, cure: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.cure = cure


class Skipped(Exception):
    """A check that cannot be made; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The installation to examine, and the clients to examine it with."""

    settings: Settings
    clients: Clients
    sts: "STSClient"
    region: str | None
    specs: ResourceSpecs


Check = Callable[[Installation], Awaitable[str]]


def demanded(settings: Settings, name: str) -> str:
    """Return a setting. Raises `Fault` if it is missing."""
    value = getattr(settings, name)
    if value is None:
        description = str(type(settings).model_fields[name].description)
        raise Fault(f"{PREFIX}{name.upper()} is not set", f"Set it: {description}")
    return str(value)


def given(settings: Settings, name: str) -> str:
    """Return a setting. Raises `Skipped` if it is missing, because another check reports that."""
    value = getattr(settings, name)
    if value is None:
        raise Skipped(f"needs {PREFIX}{name.upper()}")
    return str(value)


async def queue_attributes(installation: Installation, url: str) -> dict[str, str]:
    """Return all attributes of a queue."""
    answer = await installation.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(name): value for name, value in answer["Attributes"].items()}
