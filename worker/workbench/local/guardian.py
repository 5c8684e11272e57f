"""The guardian: a small process that ends the stack's other processes when the one that started them is gone.

A process that is killed (SIGKILL, out of memory) cannot stop its children; its pipes, though, are closed by the system.
The guardian reads process group ids from such a pipe, `+ID` for one that started and `-ID` for one that ended. At its
end of file it stops what is left, the last started first, and removes the stack's directory. It runs as a bare script
with the standard library alone, so that it costs little.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

STOP_S = 15.0
"""How long what is left may take to stop before it is killed."""
LOOK_S = 0.05


def survivors(lines: Iterable[str]) -> list[int]:
    """Return the groups that `lines` say have started and not ended, the last started first."""
    groups: dict[int, None] = {}
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups[group] = None
        else:
            groups.pop(group, None)
    return list(reversed(groups))


def stop(group: int, *, until: float) -> None:
    """Ask `group` to end, wait for its leader until the monotonic time `until`, then kill what is left of it."""
    tell(group, signal.SIGTERM)
    while leader_lives(group) and time.monotonic() < until:
        time.sleep(LOOK_S)  # these are not our children, so there is nothing to wait on
    tell(group, signal.SIGKILL)


def leader_lives(group: int) -> bool:
    """Tell whether the process that leads `group` runs; one that ended but was not yet collected does not."""
    try:
        with open(f"/proc/{group}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 # costs an import
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # no such process, or a system without /proc
        return tell(group, 0) and not os.path.isdir("/proc/self")  # noqa: PTH112 # costs an import


def tell(group: int, signal_number: int) -> bool:
    """Send a signal to a process group; return whether it is still there."""
    try:
        os.killpg(group, signal_number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Watch standard input; `argv[1]` is the directory to remove at the end."""
    for interrupt in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interrupt, signal.SIG_IGN)
    groups = survivors(sys.stdin)
    until = time.monotonic() + STOP_S
    for group in groups:
        stop(group, until=until)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
