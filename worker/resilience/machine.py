"""Machine faults: the exhaustion of this process's resources. They say nothing about the receipt at hand."""

import errno
from typing import Final

REASONS: Final = {
    errno.EMFILE: "out_of_descriptors",
    errno.ENFILE: "out_of_descriptors",
    errno.ENOMEM: "out_of_memory",
    errno.ENOSPC: "disk_full",
}
"""Reason codes by errno (man 3 errno)."""


def machine_fault(error: BaseException) -> str | None:
    """Return the reason code if `error`, or an error that caused it, is the machine's; None otherwise."""
    seen: set[int] = set()
    cause: BaseException | None = error
    explicit = True
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError):
            return "out_of_memory"
        # A decoder that handles the lack of an optional module may raise an error of the picture meanwhile.
        if isinstance(cause, ImportError) and explicit:
            return "broken_installation"
        if isinstance(cause, OSError) and cause.errno in REASONS:
            return REASONS[cause.errno]
        explicit = explicit and cause.__cause__ is not None
        cause = cause.__cause__ or cause.__context__
    return None
