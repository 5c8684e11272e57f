"""A test run leaves no processes behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import reaper

ROOT = Path(__file__).parents[2]
RUN = """
import subprocess, time
from pathlib import Path

def test_that_starts_a_server():
    server = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    Path({file!r}).write_text(str(server.pid))
    time.sleep({seconds})
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("ending", [None, signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_a_test_started_ends_with_the_run(ending: signal.Signals | None, tmp_path: Path) -> None:
    """A server that a test left running ends with the run, however the run ends."""
    started = tmp_path / "pid"
    test = tmp_path / "test_run.py"
    test.write_text(RUN.format(file=str(started), seconds=600 if ending else 0))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.conftest", str(test)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith((reaper.MARK, "PYTEST_"))}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as run:
        until(lambda: started.exists() and started.read_text() != "")
        server = int(started.read_text())
        if ending:
            run.send_signal(ending)
        run.wait(60)

    def gone() -> bool:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return True

    until(gone)
