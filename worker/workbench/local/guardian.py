"""The guardian: a small process that ends the stack's processes when their parent has died.

A killed parent (SIGKILL, out of memory) cannot stop its children, but the kernel closes its pipes. The guardian reads
process group ids from such a pipe: `+ID` for a started group, `-ID` for an ended one. At end of file it stops the
remaining groups, last started first, and removes the stack's directory. It runs as a plain script that uses only the
standard library, so that it needs little memory.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

STOP_S = 15.0
"""Seconds that the remaining groups may take to stop before they are killed."""
LOOK_S = 0.05


def survivors(lines: Iterable[str]) -> list[int]:
    """Return the groups that have started and not ended according to `lines`, last started first."""
    groups: dict[int, None] = {}
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups[group] = None
        else:
            groups.pop(group, None)
    return list(reversed(groups))


def stop(group: int, *, until: float) -> None:
    """Terminate `group`, wait for its leader until the monotonic time `until`, then kill the rest of the group."""
    send_signal(group, signal.SIGTERM)
    while leader_lives(group) and time.monotonic() < until:
        time.sleep(LOOK_S)  # these are not our children, so we cannot wait for them
    send_signal(group, signal.SIGKILL)


def leader_lives(group: int) -> bool:
    """Return whether the leader of `group` runs. A zombie does not count."""
    try:
        with open(f"/proc/{group}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 # costs an import
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # no such process, or a system without /proc
        return send_signal(group, 0) and not os.path.isdir("/proc/self")  # noqa: PTH112 # costs an import


def send_signal(group: int, signal_number: int) -> bool:
    """Send a signal to a process group; return whether the group exists."""
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
