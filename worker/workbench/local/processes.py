"""The stack's child processes, each in its own session, with its output in a file. They never outlive this process."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from worker.errors import SettingsError
from worker.workbench.local import guardian

TAIL_LINES = 12
FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
"""Signals that come from outside, so the process's output does not explain them."""


@dataclass(frozen=True, kw_only=True)
class Death:
    """A child that ended unexpectedly."""

    name: str
    status: int
    """Its exit code; negative for the signal that ended it."""
    last_words: str
    """The last lines of its output."""

    def __str__(self) -> str:
        """Return a sentence, followed by the child's last output unless a signal from outside ended it."""
        how = f"was ended by {_signal(-self.status)}" if self.status < 0 else f"ended with exit code {self.status}"
        words = "" if -self.status in FROM_OUTSIDE else self.last_words
        return f"{self.name} {how}." + (f"\n{words}" if words else "")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(eq=False, kw_only=True)
class Child:
    """One child process."""

    name: str
    process: asyncio.subprocess.Process
    output: Path
    patience_s: float
    """Seconds that it may take to end after SIGTERM."""
    stopping: bool = False
    watcher: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.returncode is None

    def tail(self) -> str:
        """Return the last lines of its output."""
        with contextlib.suppress(OSError):
            return "\n".join(self.output.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        return ""


class Family:
    """The children of one stack, as an async context manager that ends all of them.

    `directory` is created for their output and removed at the end, even if this process is killed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.children: list[Child] = []
        self.deaths: asyncio.Queue[Death] = asyncio.Queue()
        """Children that ended unexpectedly, in order."""
        self._guardian: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            self.directory.mkdir(mode=0o700)
        except OSError as error:
            raise SettingsError(
                f"{self.directory.parent} cannot be used: {error.strerror}. "
                "Set XDG_RUNTIME_DIR or TMPDIR to a writable directory."
            ) from error
        self._guardian = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", guardian.__file__, str(self.directory)),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in reversed(self.children.copy()):
            await self.stop(child)
        if self._guardian and self._guardian.stdin:
            self._guardian.stdin.close()
            await self._guardian.wait()

    async def start(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        patience_s: float = guardian.STOP_S,
    ) -> Child:
        """Start `python ARGUMENTS` as `name` with exactly `environment`.

        When it is stopped, it is killed after `patience_s` seconds.
        """
        output = self.directory / f"{name}.log"
        with output.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-P",
                    *arguments,
                ),  # -P: do not import a queue.py or worker.py from the current directory
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environment),
                pass_fds=tuple(pass_fds),
                start_new_session=True,  # Ctrl-C reaches only this process, which stops its children in order
            )
        child = Child(name=name, process=process, output=output, patience_s=patience_s)
        self.children.append(child)
        self._tell_guardian(f"+{process.pid}")
        child.watcher = asyncio.create_task(self._watch(child), name=f"watch {name}")
        return child

    async def stop(self, child: Child) -> int:
        """Terminate `child`, kill it if it takes longer than its `patience_s`, and return its exit code."""
        child.stopping = True
        if child.alive:
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
        if child.watcher:
            try:
                await asyncio.wait_for(asyncio.shield(child.watcher), child.patience_s)
            except TimeoutError:
                _kill_group(child)
                await child.watcher
        return await child.process.wait()

    def kill(self) -> None:
        """Kill every child without waiting; the guardian then removes the directory."""
        for child in self.children:
            child.stopping = True
            _kill_group(child)

    async def _watch(self, child: Child) -> None:
        status = await child.process.wait()
        _kill_group(child)  # its own children
        self.children.remove(child)
        self._tell_guardian(f"-{child.process.pid}")
        if not child.stopping:
            self.deaths.put_nowait(Death(name=child.name, status=status, last_words=child.tail()))

    def _tell_guardian(self, line: str) -> None:
        if self._guardian and self._guardian.stdin and not self._guardian.stdin.is_closing():
            self._guardian.stdin.write(f"{line}\n".encode())


def _kill_group(child: Child) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
