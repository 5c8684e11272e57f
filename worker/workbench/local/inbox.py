"""The inbox: a directory whose files are uploaded as soon as they are complete."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from worker.errors import SettingsError

UNFINISHED = (".part", ".crdownload", ".download", ".tmp", ".swp", "~")
"""Suffixes that programs use for files which they are still writing."""
LOOK_MS = 1_000
QUIET_S = 0.3
"""A file with its format's end marker is complete after its size and time have not changed for this many seconds."""
SETTLE_S = 3.0
"""Any other file is complete after this many seconds without a change …"""
PAUSES = 3
"""… and after this many times the longest pause between two changes …"""
LONGEST_S = 30.0
"""… but after LONGEST_S seconds at the latest."""
TAIL = 1_024

Mark = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds since 1970."""


@contextmanager
def directory(path: Path) -> Iterator[Path]:
    """Create `path` if it is missing. Remove it at the end if it was created here and is empty.

    Raises `SettingsError` if it cannot be created.
    """
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The inbox {path} cannot be created: {error.strerror}. Choose another with --inbox DIR."
        ) from error
    try:
        yield path
    finally:
        if made:
            with contextlib.suppress(OSError):  # it is gone or not empty
                path.rmdir()


def left_out(path: Path, inbox: Path) -> str | None:
    """Return why `path` below `inbox` is not uploaded, or None if it is."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # the latter: a link that leads to itself
        return "a broken link"
    if not real.is_relative_to(inbox.resolve()):
        return "a link to outside the inbox"
    if not real.is_file():
        return "not a regular file"
    if path.name.endswith(UNFINISHED):
        return "its name says that it is still being written"
    return None if os.access(path, os.R_OK) else "not readable"


@dataclass(frozen=True)
class Watched:
    """A file that has not been uploaded yet."""

    mark: Mark
    since: float
    """Time of the last change, on our clock."""
    pause_s: float = 0.0
    """Longest observed time between two changes."""

    def settled(self, path: Path, now: float) -> bool:
        """Return whether the file appears to be complete."""
        quiet_s = now - self.since
        if quiet_s >= max(SETTLE_S, min(PAUSES * self.pause_s, LONGEST_S)):
            return True
        return quiet_s >= QUIET_S and has_end_marker(path)


class Inbox:
    """A watcher that yields each file once per name and content, so a changed file is yielded again.

    It reports each file that it leaves in place once to `tell`.
    """

    def __init__(
        self,
        path: Path,
        *,
        tell: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._tell = tell
        self._clock = clock
        self._taken: dict[Path, Mark] = {}
        self._watched: dict[Path, Watched] = {}
        self._contents: set[tuple[Path, str]] = set()
        self._reported: set[Path] = set()

    def key(self, path: Path) -> str:
        """Return the key of a file: the inbox's name and the relative path."""
        name = f"{self.path.name}/{path.relative_to(self.path).as_posix()}"
        return name.encode(errors="surrogateescape").decode(errors="replace")

    async def files(self) -> AsyncIterator[Path]:
        """Yield complete files, existing ones first, until cancelled."""
        for path in await self.look():
            yield path
        while True:
            # awatch also wakes without an event, for file systems that send none. It fails on a name that is not
            # UTF-8, and while the directory is missing; then we look again later.
            with contextlib.suppress(ExceptionGroup, WatchfilesRustInternalError, OSError):
                async with contextlib.aclosing(
                    awatch(self.path, rust_timeout=LOOK_MS, yield_on_timeout=True, debounce=200)
                ) as wakes:
                    async for _ in wakes:
                        for path in await self.look():
                            yield path
            await asyncio.sleep(LOOK_MS / 1_000)
            for path in await self.look():
                yield path

    async def look(self) -> list[Path]:
        """Return the complete files that are new or changed. A growing file is left for a later call."""
        now = self._clock()
        self._watched = {
            path: self._watch(path, mark, now)
            for path in self._candidates()
            if (mark := _mark(path)) and mark != self._taken.get(path)
        }
        if not self._watched:
            return []
        await asyncio.sleep(QUIET_S)
        now = self._clock()
        complete = [
            (path, seen.mark)
            for path, seen in self._watched.items()
            if _mark(path) == seen.mark and seen.settled(path, now)
        ]
        return [path for path, mark in complete if await asyncio.to_thread(self._is_new, path, mark)]

    def _candidates(self) -> list[Path]:
        """Return the files that may be receipts, sorted, and report all others."""
        found, others = [], dict[Path, str]()
        for path in sorted(self.path.rglob("*")):
            relative = path.relative_to(self.path)
            hidden = next((n for n, part in enumerate(relative.parts, 1) if part.startswith(".")), None)
            if hidden:
                others[Path(*relative.parts[:hidden])] = "hidden"
            elif path.is_dir() and not path.is_symlink():
                continue
            elif why := left_out(path, self.path):
                if os.path.lexists(path):  # otherwise it was removed in the meantime
                    others[relative] = why
            else:
                found.append(path)
        if news := others.keys() - self._reported:
            self._reported |= news
            self._tell("Left in the inbox: " + ", ".join(f"{name} ({others[name]})" for name in sorted(news)))
        return found

    def _watch(self, path: Path, mark: Mark, now: float) -> Watched:
        before = self._watched.get(path)
        if before is None:
            age_s = time.time() - mark[1] / 1e9
            return Watched(mark, now - max(0.0, age_s))
        if before.mark == mark:
            return before
        return Watched(mark, now, max(before.pause_s, now - before.since))

    def _is_new(self, path: Path, mark: Mark) -> bool:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return False  # missing or not readable: a later call tries again
        self._taken[path] = mark
        if (path, content) in self._contents:
            return False
        self._contents.add((path, content))
        return True


def _mark(path: Path) -> Mark | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def has_end_marker(path: Path) -> bool:
    """Return whether a JPEG, PNG, PDF or WebP file is complete; False for other formats."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            tail = file.read()
    except OSError:
        return False
    match head[:4]:
        case b"%PDF":
            return tail.rstrip().endswith(b"%%EOF")
        case b"\x89PNG":
            return tail[-8:-4] == b"IEND"
        case b"RIFF":
            return int.from_bytes(head[4:], "little") + 8 <= size
        case start:
            return start[:2] == b"\xff\xd8" and tail.endswith(b"\xff\xd9")
