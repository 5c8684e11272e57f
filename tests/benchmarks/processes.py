"""Measured processes: each runs in its own process group on its own core, and is killed at the end of the block."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CORES = sorted(os.sched_getaffinity(0))
SUBJECT_CORE = {_CORES[-1]}
"""The core of the measured process. With two or more cores, the rest of the bench runs on the others."""
OTHER_CORES = set(_CORES[:-1]) or SUBJECT_CORE

AHEAD_OF_OTHERS = -15
"""Niceness of measured processes, for shared machines. Only root may set it."""


@dataclass
class Precedence:
    """Whether measured processes get a higher priority than everything else on the machine."""

    taken: bool = False


PRECEDENCE = Precedence()


class BenchError(Exception):
    """A measurement failed; the message says why."""


class NotAvailable(BenchError):
    """This machine lacks something that a measurement needs; the message says what."""


@dataclass
class Process:
    """A running process."""

    popen: subprocess.Popen[bytes]
    log: Path
    started: float
    """Time of the start, by the system's monotonic clock."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds of the process and of all its descendants, including ended ones."""
        return tree_cpu_s(self.pid)

    def memory_mib(self, name: str) -> float:
        """Return a value of /proc/PID/status, such as VmRSS or VmHWM, in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise BenchError(f"/proc/{self.pid}/status has no {name}: {self.last_words()}")

    def check(self) -> None:
        """Raise BenchError if the process has ended."""
        if self.popen.poll() is not None:
            raise BenchError(f"{self.log.stem} ended with {self.popen.returncode}: {self.last_words()}")

    def stop(self, *, within_s: float) -> int | None:
        """Send SIGTERM, and SIGKILL after `within_s`. Return the exit code, or None if it was killed."""
        self.popen.terminate()
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self) -> None:
        """Kill the whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def last_words(self) -> str:
        """Return the end of the output."""
        return self.log.read_text(errors="replace")[-1_000:]


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, directory: Path | None = None
) -> Iterator[Process]:
    """Run a command with exactly `environment` on the measured core, with its output in `log`."""
    with log.open("wb") as output:
        started = time.monotonic()
        popen = subprocess.Popen(
            command, env=dict(environment), stdout=output, stderr=output, cwd=directory, start_new_session=True
        )
    place(popen.pid, SUBJECT_CORE)
    process = Process(popen, log, started)
    try:
        yield process
    finally:
        process.kill()


def place(pid: int, cores: set[int]) -> None:
    """Put a new process on `cores`, and raise its priority if that is wanted and allowed."""
    with contextlib.suppress(OSError):  # it has ended, this is not root, or the kernel has no autogroups
        os.sched_setaffinity(pid, cores)
        if not PRECEDENCE.taken:
            return
        os.setpriority(os.PRIO_PROCESS, pid, AHEAD_OF_OTHERS)
        # Linux shares the CPU between sessions first: see "The autogroup feature" in sched(7).
        Path(f"/proc/{pid}/autogroup").write_text(str(AHEAD_OF_OTHERS))


def tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants."""
    try:
        used = time.clock_gettime(_clock_of(pid)) + _of_the_ended(pid)
        children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    except (OSError, ValueError):
        return 0.0  # it has ended: the parent's figures include it
    return used + sum(map(tree_cpu_s, children))


def _clock_of(pid: int) -> int:
    """Return the id of a process's CPU clock, as clock_getcpuclockid(3) does. It counts nanoseconds, not ticks."""
    return (~pid << 3) | 2


def _of_the_ended(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _children(task: Path) -> list[int]:
    return [int(child) for child in (task / "children").read_text().split()]
