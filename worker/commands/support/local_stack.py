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
"""The variable that names one of several stacks, by the port of its console."""


def isolated(base: Mapping[str, str], *, also: tuple[str, ...] = ()) -> dict[str, str]:
    """Return `base` without anything that configures AWS or ECS, and without the variables that start with `also`."""
    taken = ("AWS_", "ECS_", "BOTO_", *also)
    return {name: value for name, value in base.items() if not name.startswith(taken)}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A stack that runs on this machine, as it told in its directory."""

    process_id: int
    started_at: float
    """Seconds since 1970."""
    http_port: int
    """Where its console is, and what tells it from the user's other stacks."""
    environment: dict[str, str]

    def __str__(self) -> str:
        """Return what a person knows it by."""
        started = dt.datetime.fromtimestamp(self.started_at).astimezone()
        console = f"http://127.0.0.1:{self.http_port}/"
        return f"{CHOICE}={self.http_port} (started {started:%d %b %H:%M:%S}, process {self.process_id}, {console})"


def runtime_directory() -> Path:
    """Return the directory for what lives as long as a process: the user's own, where the system has one."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    # Of a session that is over, or of the user before `su`, the variable names what is not there or not ours.
    return Path(own if own and os.access(own, os.W_OK | os.X_OK) else tempfile.gettempdir())


def publish(directory: Path, environment: Mapping[str, str], *, started_at: float, http_port: int) -> None:
    """Write down in `directory` how to speak to the stack of this process."""
    stack = Running(process_id=os.getpid(), started_at=started_at, http_port=http_port, environment=dict(environment))
    part = directory / f"{FILE}.part"
    part.write_text(json.dumps(asdict(stack), indent=2))
    part.replace(directory / FILE)


def running() -> list[Running]:
    """Return this user's stacks that run on this machine, the newest first."""
    found = []
    for file in runtime_directory().glob(f"{PREFIX}*/{FILE}"):
        try:
            if file.stat().st_uid != os.getuid() or file.parent.stat().st_mode & stat.S_IWOTH:
                continue  # a stranger's file could send our receipts anywhere
            stack = Running(**json.loads(file.read_text()))
            os.kill(stack.process_id, 0)
        except (OSError, ValueError, TypeError):
            continue  # gone, or going
        found.append(stack)
    return sorted(found, key=lambda stack: stack.started_at, reverse=True)


def join() -> Running:
    """Make this process speak to the stack that runs, the one that `RECEIPTS_LOCAL` names where several do.

    Raises `ReceiptsError` where there is none, and `SettingsError` where it is not clear which one is meant.
    """
    stack = _chosen(running(), os.environ.get(CHOICE))
    kept = isolated(os.environ, also=("RECEIPTS_",))
    os.environ.clear()
    os.environ.update(kept | stack.environment)
    return stack


def _chosen(stacks: Sequence[Running], port: str | None) -> Running:
    if not stacks:
        raise ReceiptsError("No `receipts local` of yours runs on this machine. Start it in another terminal.")
    there = ", ".join(map(str, stacks))
    if port:
        named = [stack for stack in stacks if str(stack.http_port) == port]
        if not named:
            raise SettingsError(f"No `receipts local` of yours has its console at {CHOICE}={port}. There is: {there}")
        return named[0]
    if len(stacks) > 1:
        raise SettingsError(f"{len(stacks)} `receipts local` of yours run on this machine. Set one of: {there}")
    return stacks[0]
