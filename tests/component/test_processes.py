"""Child processes end with their parent, however the parent ends."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from worker.workbench.local.guardian import leader_lives
from worker.workbench.local.processes import Family

SLEEPER = ("-c", "import signal; print('up', flush=True); signal.pause()")
STUBBORN = (
    "-c",
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()",
)
PARENT = """
import asyncio, sys, os
from pathlib import Path
from worker.workbench.local.processes import Family

async def main():
    directory = Path(sys.argv[1])
    async with Family(directory) as family:
        child = await family.start(
            "child", "-c", "import time; print('up', flush=True); time.sleep(600)", environment=os.environ
        )
        print(child.process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "family"


async def _wait_for(path: Path, word: str) -> None:
    """Wait until the file at `path` contains `word`."""
    async with asyncio.timeout(20):
        while not (path.exists() and word in path.read_text()):
            await asyncio.sleep(0.02)


async def test_a_child_that_ends_by_itself_is_reported(directory: Path) -> None:
    """The death of a child has its name, its exit code and the end of its output."""
    async with Family(directory) as family:
        await family.start("short", "-c", "print('why'); raise SystemExit(3)", environment=os.environ)
        death = await asyncio.wait_for(family.deaths.get(), 20)
    assert (death.name, death.status, death.last_words) == ("short", 3, "why")


async def test_a_child_that_was_killed_is_reported_with_the_signal(directory: Path) -> None:
    """The death of a killed child names the signal."""
    async with Family(directory) as family:
        child = await family.start("victim", *SLEEPER, environment=os.environ)
        child.process.kill()
        death = await asyncio.wait_for(family.deaths.get(), 20)
    assert "SIGKILL" in str(death)


async def test_a_stopped_child_is_not_reported_and_leaves_nothing(directory: Path) -> None:
    """A stopped child is not reported as a death, and the family's directory is removed at the end."""
    async with Family(directory) as family:
        child = await family.start("calm", *SLEEPER, environment=os.environ)
        await _wait_for(child.output, "up")
        assert await family.stop(child) == -signal.SIGTERM
        assert family.deaths.empty()
    assert not directory.exists()


async def test_a_child_that_will_not_end_is_killed(directory: Path) -> None:
    """A child that ignores SIGTERM is killed after its time."""
    async with Family(directory) as family:
        child = await family.start("stubborn", *STUBBORN, environment=os.environ, patience_s=0.2)
        await _wait_for(child.output, "up")
        assert await family.stop(child) == -signal.SIGKILL


async def test_children_do_not_outlive_a_killed_parent(directory: Path) -> None:
    """After SIGKILL of the parent, its child ends and its directory is removed."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(directory)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    await _wait_for(directory / "child.log", "up")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    async with asyncio.timeout(20):
        while directory.exists() or leader_lives(child):
            await asyncio.sleep(0.05)
