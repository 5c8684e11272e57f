"""The exceptions, named by what the caller does about them.

    ReceiptsError
    ├── SettingsError        print it in one line and exit with code 2
    ├── Rejected             the upload can never work: record it as rejected, delete the message
    ├── Malformed            the body is not a known message: dead-letter it with the reason
    ├── Failed               this receipt failed although its dependencies work: retry the message later
    ├── LeaseLost            another worker has this message: stop at once, write nothing
    └── DependencyFault      a dependency is unavailable: wait in place behind its breaker
        └── Throttled        ... because our rate is too high

Reasons are short snake_case codes for records, log lines and metrics. They never contain receipt content.
"""


class ReceiptsError(Exception):
    """The base of all exceptions that this project raises on purpose."""


class SettingsError(ReceiptsError):
    """A setting that cannot work. Its text is one line that says what is wrong and what to do."""


class ReasonedError(ReceiptsError):
    """An error with a code for programs and a sentence for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Rejected(ReasonedError):
    """The upload can never become a receipt: it is missing, empty, too large or not a picture."""


class Malformed(ReasonedError):
    """A message body of unknown form, or one that names no upload."""


class Failed(ReasonedError):
    """This receipt failed although its dependencies are healthy."""


class LeaseLost(ReceiptsError):
    """Another worker has the message now, so this one must not write anything for it."""


class DependencyFault(ReasonedError):
    """A failure of an AWS service or the machine that passes: 5xx, timeout, lost connection, missing permission."""

    def __init__(self, dependency: str, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.dependency = dependency


class Throttled(DependencyFault):
    """The dependency asks for fewer calls."""
