"""What can go wrong, named by what the caller does about it.

    ReceiptsError
    ├── SettingsError        say it in one line and exit 2
    ├── Rejected             the upload can never work: record it as rejected, delete the message
    ├── Malformed            the body is no message that we know: dead-letter it with the reason
    ├── Failed               this receipt failed for now, its dependencies are well: retry the message later
    ├── LeaseLost            somebody else has this work: stop at once, write nothing
    └── DependencyFault      a dependency is unwell: wait in place behind its breaker
        └── Throttled        ... and it says that we are too fast

Reasons are short snake_case codes, fit for a record, a log line and a metric: they never carry receipt content.
"""


class ReceiptsError(Exception):
    """Anything that this project raises on purpose."""


class SettingsError(ReceiptsError):
    """A setting that cannot work; its text is the one line that a person needs."""


class ReasonedError(ReceiptsError):
    """An error with a code for programs and a sentence for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Rejected(ReasonedError):
    """The upload can never become a receipt record: missing, empty, no image, too large."""


class Malformed(ReasonedError):
    """A message body that names no upload and is none of the known kinds."""


class Failed(ReasonedError):
    """This receipt could not be done now, though what it depends on is healthy."""


class LeaseLost(ReceiptsError):
    """The work belongs to somebody else now; nothing may be written for it here."""


class DependencyFault(ReasonedError):
    """S3, SageMaker, DynamoDB or SQS failed in a way that passes: 5xx, time-out, connection, missing permission."""

    def __init__(self, dependency: str, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.dependency = dependency


class Throttled(DependencyFault):
    """The dependency asks for fewer calls."""
