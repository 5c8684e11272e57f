"""The load server as a process, its client, and the pictures that it serves."""

import io
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from PIL import Image, ImageFilter

from tests.benchmarks.load_server import QUEUE_URL
from tests.benchmarks.processes import OTHER_CORES, BenchError, Process, place, tree_cpu_s
from worker.commands.support import local_stack
from worker.workbench.local import environment

KILOBYTES = 200
LOOK_S = 0.02
PHOTO = (4_000, 3_000)

Figures = dict[str, Any]


class LoadServer:
    """A running load server. Use it as a context manager."""

    def __init__(self, picture: Path, **load: Any) -> None:
        """Start it. Every object contains `picture`; `load` are fields of `Load`."""
        command = [sys.executable, "-m", "tests.benchmarks.load_server", json.dumps({"picture": str(picture), **load})]
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        place(self._popen.pid, OTHER_CORES)
        self.address = self._line()

    def _line(self) -> str:
        assert self._popen.stdout
        line = self._popen.stdout.readline().strip()
        if not line:
            raise BenchError("the load server has ended")
        return line

    def change(self, **command: Any) -> Figures:
        """Apply changes and return the figures so far."""
        assert self._popen.stdin
        self._popen.stdin.write(json.dumps(command) + "\n")
        self._popen.stdin.flush()
        figures: Figures = json.loads(self._line())
        return figures

    def until(
        self, done: Callable[[Figures], bool], *, what: str, of: Process | None = None, within_s: float = 120
    ) -> Figures:
        """Wait until `done` accepts the figures, and return them.

        Raise BenchError if the process `of` ends first, or after `within_s` seconds.
        """
        deadline = time.monotonic() + within_s
        while not done(figures := self.change()):
            if of:
                of.check()
            if time.monotonic() > deadline:
                shown = {name: value for name, value in figures.items() if not isinstance(value, list)}
                said = of.last_words() if of else ""
                raise BenchError(f"{what} has not come within {within_s:g} s: {shown} {said}")
            time.sleep(LOOK_S)
        return figures

    def polled(self, process: Process) -> Figures:
        """Wait until `process` has begun to receive."""
        return self.until(lambda figures: figures["first_receive"] is not None, what="the first receive", of=process)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the load server."""
        return tree_cpu_s(self._popen.pid)

    @property
    def queue_url(self) -> str:
        """The queue's URL."""
        return self.address + QUEUE_URL

    def environment(self) -> dict[str, str]:
        """Return an environment that points all AWS services at this server."""
        base = local_stack.isolated(os.environ, also=("RECEIPTS_", "PYTHON", "VIRTUAL_ENV"))
        return base | environment.aws(emulator_url=self.address, runtime_url=self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._popen.stdin
        self._popen.stdin.close()
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        with self._popen:  # closes its pipes and waits for its end
            pass


def passing(directory: Path) -> Path:
    """Return the path of a JPEG of about 200 KB that the worker sends unchanged."""
    return _made(directory / "passing.jpg", _grain)


def photo(directory: Path) -> Path:
    """Return the path of a phone-like JPEG of 12 megapixels and about 3 MB."""
    return _made(directory / "photo.jpg", _photo)


def _made(path: Path, make: Callable[[], bytes]) -> Path:
    if not path.exists():
        path.write_bytes(make())
    return path


def _grain() -> bytes:
    side = 640
    grain = Image.frombytes("L", (side, side), random.Random(1).randbytes(side * side))
    whole = b""
    for quality in range(30, 96):
        buffer = io.BytesIO()
        grain.save(buffer, "JPEG", quality=quality)
        whole = buffer.getvalue()
        if len(whole) >= 1_000 * KILOBYTES:
            break
    return whole


def _photo() -> bytes:
    small = Image.frombytes("RGB", (1_000, 750), random.Random(1).randbytes(1_000 * 750 * 3))
    buffer = io.BytesIO()
    small.filter(ImageFilter.GaussianBlur(1)).resize(PHOTO, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
