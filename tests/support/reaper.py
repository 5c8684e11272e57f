"""Ends every process of a test run when the run is over, even if the run was killed.

The run marks its environment, which its child processes inherit, and holds a pipe to this script. When the pipe closes,
the script ends the marked processes that are left. It needs /proc, so it does nothing on systems without it.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "RUN_OF_THE_TESTS"
GRACE_S = 10.0
"""Time that a process gets between SIGTERM and SIGKILL, seconds."""


def marked(mark: str) -> Iterator[int]:
    """Yield the ids of the processes that were started with `mark` in their environment."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
        except OSError:  # it has just ended, or belongs to another user
            continue
        if wanted in environment.split(b"\0") and not ended:
            yield int(entry.name)


def end_all(mark: str) -> None:
    """Send SIGTERM to the marked processes, and SIGKILL to those that are left after `GRACE_S`."""
    until = time.monotonic() + GRACE_S
    number = signal.SIGTERM
    while processes := list(marked(mark)):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        time.sleep(0.1)
        number = signal.SIGKILL if time.monotonic() > until else signal.SIGTERM


def main() -> None:
    """Wait for the end of standard input, then end the processes marked with the argument."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_all(sys.argv[1])


if __name__ == "__main__":
    main()
