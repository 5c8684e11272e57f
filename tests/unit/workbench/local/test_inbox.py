"""The inbox: which files it uploads, and when."""

import asyncio
import os
from pathlib import Path

import pytest

from worker.workbench.local import inbox as inboxes
from worker.workbench.local.inbox import Inbox, has_end_marker
from worker.workbench.local.samples import FILES


def jpeg(said: bytes) -> bytes:
    """Return bytes with the start and end markers of a JPEG."""
    return b"\xff\xd8" + said + b"\xff\xd9"


async def test_a_file_comes_once(tmp_path: Path) -> None:
    """A file is yielded once, and again only after its content changes."""
    inbox = Inbox(tmp_path)
    file = tmp_path / "sub" / "ä b.jpg"
    file.parent.mkdir()
    file.write_bytes(jpeg(b"first"))
    assert await inbox.look() == [file]
    assert inbox.key(file) == f"{tmp_path.name}/sub/ä b.jpg"
    assert await inbox.look() == []
    os.utime(file, (1, 1))
    assert await inbox.look() == []
    file.write_bytes(jpeg(b"second"))
    assert await inbox.look() == [file]


async def test_a_growing_file_is_left_for_later(tmp_path: Path) -> None:
    """A file whose size changes between two calls is not complete."""
    inbox = Inbox(tmp_path)
    file = tmp_path / "scan.jpg"
    file.write_bytes(jpeg(b"1"))
    looking = asyncio.create_task(inbox.look(), name="look")
    await asyncio.sleep(inboxes.QUIET_S / 2)
    file.write_bytes(jpeg(b"12"))
    assert await looking == []
    assert await inbox.look() == [file]


async def test_a_slowly_growing_file_comes_once_and_complete(tmp_path: Path) -> None:
    """A file written in chunks seconds apart is yielded once, because longer pauses extend the wait."""
    now = 1_000.0
    inbox = Inbox(tmp_path, clock=lambda: now)
    file = tmp_path / "slow.heic"
    for _ in range(8):
        with file.open("ab") as more:
            more.write(b"chunk")
        for _ in range(3):
            assert await inbox.look() == []
            now += 0.8
    now += 3 * 2.4 - 0.8
    assert await inbox.look() == [file]
    assert await inbox.look() == []


async def test_an_old_file_is_complete(tmp_path: Path) -> None:
    """A file that was last changed some seconds ago is yielded at once, whatever its format."""
    file = tmp_path / "there.heic"
    file.write_bytes(b"x")
    os.utime(file, (1, 1))
    assert await Inbox(tmp_path).look() == [file]


@pytest.mark.parametrize("name", ["de-supermarket-card.jpg", "fr-bistro.png", "es-bookshop.pdf"])
def test_the_end_of_a_format_is_known(name: str, tmp_path: Path) -> None:
    """A sample has its end marker; half of it does not."""
    half = tmp_path / name
    content = (FILES / name).read_bytes()
    half.write_bytes(content[: len(content) // 2])
    assert has_end_marker(FILES / name)
    assert not has_end_marker(half)


async def test_ignored_files_are_reported_once(tmp_path: Path) -> None:
    """Broken links, links to outside, pipes, hidden and unfinished files stay in place, and one line reports them."""
    inbox, said = tmp_path / "inbox", list[str]()
    inbox.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(jpeg(b"secret"))
    (inbox / "outside.jpg").symlink_to(secret)
    (inbox / "outside").symlink_to(tmp_path)
    (inbox / "nowhere.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(inbox / "pipe.jpg")
    (inbox / ".git").mkdir()
    for name in (".git/a.jpg", ".git/b.jpg", "scan.jpg.part", "good.jpg"):
        (inbox / name).write_bytes(jpeg(b"x"))
    (inbox / "inside.jpg").symlink_to(inbox / "good.jpg")
    box = Inbox(inbox, tell=said.append)
    assert [path.name for path in await box.look()] == ["good.jpg", "inside.jpg"]
    assert await box.look() == []
    assert said == [
        "Left in the inbox: .git (hidden), nowhere.jpg (a broken link), "
        "outside (a link to outside the inbox), outside.jpg (a link to outside the inbox), "
        "pipe.jpg (not a regular file), scan.jpg.part (its name says that it is still being written)"
    ]


async def test_unfinished_and_hidden_files_are_not_taken(tmp_path: Path) -> None:
    """Temporary files of programs and hidden files are ignored."""
    for name in (".DS_Store", "a.jpg.part", "b.crdownload", "c~", ".git/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert await Inbox(tmp_path).look() == []


async def test_files_come_as_they_are_copied_in(tmp_path: Path) -> None:
    """Existing files come first, then files that are copied in later."""
    (tmp_path / "there.jpg").write_bytes(jpeg(b"1"))
    files = Inbox(tmp_path).files()
    assert (await anext(files)).name == "there.jpg"
    (tmp_path / "new.jpg").write_bytes(jpeg(b"2"))
    assert (await asyncio.wait_for(anext(files), 10)).name == "new.jpg"
    await files.aclose()  # type: ignore[attr-defined] # an async generator


def test_a_created_inbox_is_removed_if_it_is_empty(tmp_path: Path) -> None:
    """A missing directory is created; at the end it stays only if it is not empty or existed before."""
    made, kept, there = tmp_path / "made", tmp_path / "kept", tmp_path / "there"
    there.mkdir()
    for path in (made, kept, there):
        with inboxes.directory(path):
            assert path.is_dir()
            if path == kept:
                (path / "x").touch()
    assert [path.exists() for path in (made, kept, there)] == [False, True, True]
