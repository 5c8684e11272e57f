"""`python -m worker` is the `receipts` command."""

import gc
import os
import sys

from worker.startup import end_on_sigterm

INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C ended."""


def main() -> None:
    """Run the command line; a container's health check goes past it, since importing it costs ten times the check."""
    if sys.argv[1:] == ["health"]:
        from worker.runtime.healthcheck import main as check

        raise SystemExit(check())
    if sys.argv[1:2] in (["worker"], ["console"]):
        end_on_sigterm()
    if sys.argv[1:] == ["worker"]:
        gc.disable()  # imports leave nothing to collect; the worker turns it on again
    _open_standard_streams()
    try:
        from worker.commands.root import main as commands

        commands()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _open_standard_streams() -> None:
    """Lead closed standard streams to nowhere: the next file or socket would take their numbers, and be written to."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))


if __name__ == "__main__":
    main()
