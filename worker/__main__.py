"""`python -m worker` is the `receipts` command."""

import gc
import os
import sys

from worker.startup import end_on_sigterm

INTERRUPTED = 130
"""The exit status by which shells report a command that Ctrl-C ended."""


def main() -> None:
    """Run the command line. A container's health check bypasses it, because importing it takes ten times as long."""
    if sys.argv[1:] == ["health"]:
        from worker.runtime.healthcheck import main as check

        raise SystemExit(check())
    if sys.argv[1:2] in (["worker"], ["console"]):
        end_on_sigterm()
    if sys.argv[1:] == ["worker"]:
        gc.disable()  # imports leave no garbage; the worker enables it again
    _open_standard_streams()
    try:
        from worker.commands.root import main as commands

        commands()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _open_standard_streams() -> None:
    """Open closed standard streams on /dev/null.

    Otherwise the next file or socket gets their descriptor, and output would be written to it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # returns the lowest free descriptor, which is `number`
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))


if __name__ == "__main__":
    main()
