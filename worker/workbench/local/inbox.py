"""The inbox: a directory whose files go into the bucket as soon as they are whole."""

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
"""How programs call a file that they still write."""
LOOK_MS = 1_000
QUIET_S = 0.3
"""A file that ends as its format ends is whole when its size and time have not changed for so long."""
SETTLE_S = 3.0
"""Any other file is whole when they have not changed for so long …"""
PAUSES = 3
"""… and for so many times the longest pause between two changes that was seen …"""
LONGEST_S = 30.0
"""… but never waits longer than this for one more."""
TAIL = 1_024

Mark = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds since 1970."""


@contextmanager
def directory(path: Path) -> Iterator[Path]:
    """Make `path` where it is missing, and then take it away again at the end if nothing is in it.

    Raises `SettingsError` where it cannot be made.
    """
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The inbox {path} cannot be made: {error.strerror}. Name another with --inbox DIR."
        ) from error
    try:
        yield path
    finally:
        if made:
            with contextlib.suppress(OSError):  # it is gone, or something is in it
                path.rmdir()


def left_out(path: Path, inbox: Path) -> str | None:
    """Return why what lies at `path` below `inbox` is no receipt to be read, or None where it is one."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # the latter: a link that leads to itself
        return "a link to nothing"
    if not real.is_relative_to(inbox.resolve()):
        return "a link that leads out of the inbox"
    if not real.is_file():
        return "no regular file"
    if path.name.endswith(UNFINISHED):
        return "by its name still being written"
    return None if os.access(path, os.R_OK) else "not ours to read"


@dataclass(frozen=True)
class Watched:
    """A file that is not taken yet."""

    mark: Mark
    since: float
    """When it became what it is, on our clock."""
    pause_s: float = 0.0
    """The longest time between two changes that was seen."""

    def settled(self, path: Path, now: float) -> bool:
        """Tell whether nobody writes it any more, as far as can be seen."""
        quiet_s = now - self.since
        if quiet_s >= max(SETTLE_S, min(PAUSES * self.pause_s, LONGEST_S)):
            return True
        return quiet_s >= QUIET_S and ends_as_it_should(path)


class Inbox:
    """Yields each file once for its name and content; a file that is written anew comes again.

    `tell` hears once of each thing that is left where it is.
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
        self._told: set[Path] = set()

    def key(self, path: Path) -> str:
        """Return the key of a file: the inbox's name and the way from there."""
        way = f"{self.path.name}/{path.relative_to(self.path).as_posix()}"
        return way.encode(errors="surrogateescape").decode(errors="replace")

    async def files(self) -> AsyncIterator[Path]:
        """Yield whole files, those that are there already first, until cancelled."""
        for path in await self.look():
            yield path
        while True:
            # It also wakes without an event, for file systems that tell of none. It fails over a name that is no
            # UTF-8, and where the directory is gone for a while: then looking again is enough.
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
        """Return the files that are new or changed, and whole; one that still grows is left for a later look."""
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
        whole = [
            (path, seen.mark)
            for path, seen in self._watched.items()
            if _mark(path) == seen.mark and seen.settled(path, now)
        ]
        return [path for path, mark in whole if await asyncio.to_thread(self._is_new, path, mark)]

    def _candidates(self) -> list[Path]:
        """Return the files that somebody may want read, in a steady order, and tell of what else is there."""
        found, others = [], dict[Path, str]()
        for path in sorted(self.path.rglob("*")):
            way = path.relative_to(self.path)
            hidden = next((n for n, part in enumerate(way.parts, 1) if part.startswith(".")), None)
            if hidden:
                others[Path(*way.parts[:hidden])] = "hidden"
            elif path.is_dir() and not path.is_symlink():
                continue
            elif why := left_out(path, self.path):
                if os.path.lexists(path):  # else it has gone meanwhile
                    others[way] = why
            else:
                found.append(path)
        if news := others.keys() - self._told:
            self._told |= news
            self._tell("Left in the inbox: " + ", ".join(f"{way} ({others[way]})" for way in sorted(news)))
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
            return False  # gone or not ours to read: a later look decides again
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


def ends_as_it_should(path: Path) -> bool:
    """Tell whether a JPEG, PNG, PDF or WebP has its end; of other formats that is not known."""
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
