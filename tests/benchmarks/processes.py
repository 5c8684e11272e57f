"""Processes that are measured: started in a group of their own, on a core of their own, and gone with the block."""

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
"""Where the measured process runs; where there are two cores or more, nothing else of the bench does."""
OTHER_CORES = set(_CORES[:-1]) or SUBJECT_CORE

AHEAD_OF_OTHERS = -15
"""Niceness of what is timed on a machine that others use too: only root may ask for it."""


@dataclass
class Precedence:
    """Whether what is started goes ahead of whatever else the machine does."""

    taken: bool = False


PRECEDENCE = Precedence()


class BenchError(Exception):
    """A measurement came to nothing; the message says why."""


class NotHere(BenchError):
    """This machine lacks what a measurement needs; the message says what."""


@dataclass
class Process:
    """A process that runs."""

    popen: subprocess.Popen[bytes]
    log: Path
    started: float
    """By the system's monotonic clock."""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.popen.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds of the process and of all that it started, ended ones included."""
        return tree_cpu_s(self.pid)

    def memory_mib(self, name: str) -> float:
        """Return a figure of /proc/PID/status, such as VmRSS or VmHWM."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise BenchError(f"{name} is not told: {self.last_words()}")

    def check(self) -> None:
        """Raise `BenchError` where the process has ended."""
        if self.popen.poll() is not None:
            raise BenchError(f"{self.log.stem} ended with {self.popen.returncode}: {self.last_words()}")

    def stop(self, *, within_s: float) -> int | None:
        """Send SIGTERM and, when it takes too long, SIGKILL; return the exit code, None where it was killed."""
        self.popen.terminate()
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self) -> None:
        """End the whole group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def last_words(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-1_000:]


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, directory: Path | None = None
) -> Iterator[Process]:
    """Run a command with exactly `environment` on the subject's core, its output in `log`."""
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
    """Put a process that has just begun on `cores`, and ahead of others where that is wanted and allowed."""
    with contextlib.suppress(OSError):  # it has ended, this is not root, or the kernel knows no groups
        os.sched_setaffinity(pid, cores)
        if not PRECEDENCE.taken:
            return
        os.setpriority(os.PRIO_PROCESS, pid, AHEAD_OF_OTHERS)
        # Linux shares the CPU between sessions first: see "The autogroup feature" in sched(7).
        Path(f"/proc/{pid}/autogroup").write_text(str(AHEAD_OF_OTHERS))


def tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of its descendants."""
    try:
        used = time.clock_gettime(_clock_of(pid)) + _of_the_ended(pid)
        children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    except (OSError, ValueError):
        return 0.0  # it has ended meanwhile: its parent's figures have it
    return used + sum(map(tree_cpu_s, children))


def _clock_of(pid: int) -> int:
    """Return the clock of a process's CPU time, as clock_getcpuclockid(3) does: in nanoseconds, not in ticks."""
    return (~pid << 3) | 2


def _of_the_ended(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _children(task: Path) -> list[int]:
    return [int(child) for child in (task / "children").read_text().split()]
