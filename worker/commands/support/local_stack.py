"""The connection to a `receipts local` stack on this machine.

A running stack publishes its environment in a directory of the user. `receipts --local VERB` reads it and uses that
stack instead of AWS.
"""

import datetime as dt
import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.errors import ReceiptsError, SettingsError

PREFIX = "receipts-local-"
FILE = "environment.json"
CHOICE = "RECEIPTS_LOCAL"
"""The variable that selects one of several stacks by the port of its console."""


def isolated(base: Mapping[str, str], *, also: tuple[str, ...] = ()) -> dict[str, str]:
    """Return `base` without the variables that configure AWS or ECS, or that start with one of `also`."""
    removed = ("AWS_", "ECS_", "BOTO_", *also)
    return {name: value for name, value in base.items() if not name.startswith(removed)}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A stack that runs on this machine, as published in its directory."""

    process_id: int
    started_at: float
    """Seconds since 1970."""
    http_port: int
    """The port of its console, which distinguishes it from the user's other stacks."""
    environment: dict[str, str]

    def __str__(self) -> str:
        """Return its selector, start time, process and console address."""
        started = dt.datetime.fromtimestamp(self.started_at).astimezone()
        console = f"http://127.0.0.1:{self.http_port}/"
        return f"{CHOICE}={self.http_port} (started {started:%d %b %H:%M:%S}, process {self.process_id}, {console})"


def runtime_directory() -> Path:
    """Return the user's directory for run-time files, or the one for temporary files."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    # The variable may be left from an ended session or from before `su`; its directory is then missing or foreign.
    return Path(own if own and os.access(own, os.W_OK | os.X_OK) else tempfile.gettempdir())


def publish(directory: Path, environment: Mapping[str, str], *, started_at: float, http_port: int) -> None:
    """Write the environment of this process's stack into `directory`."""
    stack = Running(process_id=os.getpid(), started_at=started_at, http_port=http_port, environment=dict(environment))
    part = directory / f"{FILE}.part"
    part.write_text(json.dumps(asdict(stack), indent=2))
    part.replace(directory / FILE)


def running() -> list[Running]:
    """Return this user's running stacks, newest first."""
    found = []
    for file in runtime_directory().glob(f"{PREFIX}*/{FILE}"):
        try:
            if file.stat().st_uid != os.getuid() or file.parent.stat().st_mode & stat.S_IWOTH:
                continue  # another user's file could redirect our receipts
            stack = Running(**json.loads(file.read_text()))
            os.kill(stack.process_id, 0)
        except (OSError, ValueError, TypeError):
            continue  # the stack has ended or is ending
        found.append(stack)
    return sorted(found, key=lambda stack: stack.started_at, reverse=True)


def join() -> Running:
    """Make this process use the running stack. If several run, `RECEIPTS_LOCAL` selects one.

    Raises `ReceiptsError` if none runs, and `SettingsError` if the choice is ambiguous.
    """
    stack = _chosen(running(), os.environ.get(CHOICE))
    kept = isolated(os.environ, also=("RECEIPTS_",))
    os.environ.clear()
    os.environ.update(kept | stack.environment)
    return stack


def _chosen(stacks: Sequence[Running], port: str | None) -> Running:
    if not stacks:
        raise ReceiptsError("No `receipts local` of yours is running. Start it in another terminal.")
    choices = ", ".join(map(str, stacks))
    if port:
        named = [stack for stack in stacks if str(stack.http_port) == port]
        if not named:
            raise SettingsError(f"No `receipts local` of yours has its console at {CHOICE}={port}. Running: {choices}")
        return named[0]
    if len(stacks) > 1:
        raise SettingsError(f"{len(stacks)} `receipts local` of yours are running. Set one of: {choices}")
    return stacks[0]
