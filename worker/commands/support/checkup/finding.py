"""What a check is: it looks at one thing of an installation and says how it is, or raises why it is not well."""

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
    """What one check found."""

    check: str
    status: Status
    detail: str
    cure: str | None = None
    """What to do about it."""

    def as_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return {"check": self.check, "status": self.status, "detail": self.detail, "cure": self.cure}


class Fault(Exception):
    """A check failed."""

    def __init__(self, detail: str, cure: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.cure = cure


class Skipped(Exception):
    """A check could not be made, for the reason that this says."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is examined, and with what."""

    settings: Settings
    clients: Clients
    sts: "STSClient"
    region: str | None
    specs: ResourceSpecs


Check = Callable[[Patient], Awaitable[str]]


def demanded(settings: Settings, name: str) -> str:
    """Return a setting, or raise the fault that it is missing."""
    value = getattr(settings, name)
    if value is None:
        description = str(type(settings).model_fields[name].description)
        raise Fault(f"{PREFIX}{name.upper()} is not set", f"Set it: {description}")
    return str(value)


def given(settings: Settings, name: str) -> str:
    """Return a setting, or skip the check where it is missing, which another check says already."""
    value = getattr(settings, name)
    if value is None:
        raise Skipped(f"needs {PREFIX}{name.upper()}")
    return str(value)


async def queue_attributes(patient: Patient, url: str) -> dict[str, str]:
    """Return all attributes of a queue."""
    answer = await patient.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(name): value for name, value in answer["Attributes"].items()}
