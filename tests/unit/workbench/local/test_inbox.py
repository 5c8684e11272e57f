"""What the inbox takes, and when."""

import asyncio
import os
from pathlib import Path

import pytest

from worker.workbench.local import inbox as inboxes
from worker.workbench.local.inbox import Inbox, ends_as_it_should
from worker.workbench.local.samples import FILES


def jpeg(said: bytes) -> bytes:
    """Return what begins and ends as a JPEG does."""
    return b"\xff\xd8" + said + b"\xff\xd9"


async def test_a_file_comes_once(tmp_path: Path) -> None:
    """A file is given out once, and again only when its content is another one."""
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


async def test_a_file_that_still_grows_is_left_for_later(tmp_path: Path) -> None:
    """A file whose size changes between two looks is not whole."""
    inbox = Inbox(tmp_path)
    file = tmp_path / "scan.jpg"
    file.write_bytes(jpeg(b"1"))
    looking = asyncio.create_task(inbox.look(), name="look")
    await asyncio.sleep(inboxes.QUIET_S / 2)
    file.write_bytes(jpeg(b"12"))
    assert await looking == []
    assert await inbox.look() == [file]


async def test_a_file_that_grows_slowly_comes_once_and_whole(tmp_path: Path) -> None:
    """Chunks that come seconds apart are one file: the longer its pauses, the longer it must stay as it is."""
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


async def test_a_file_that_has_been_there_is_whole(tmp_path: Path) -> None:
    """What was last changed some seconds ago is taken at once, whatever its format."""
    file = tmp_path / "there.heic"
    file.write_bytes(b"x")
    os.utime(file, (1, 1))
    assert await Inbox(tmp_path).look() == [file]


@pytest.mark.parametrize("name", ["de-supermarket-card.jpg", "fr-bistro.png", "es-bookshop.pdf"])
def test_the_end_of_a_format_is_known(name: str, tmp_path: Path) -> None:
    """A sample has its end; half of it has not."""
    half = tmp_path / name
    content = (FILES / name).read_bytes()
    half.write_bytes(content[: len(content) // 2])
    assert ends_as_it_should(FILES / name)
    assert not ends_as_it_should(half)


async def test_what_is_left_is_told_once(tmp_path: Path) -> None:
    """Links that lead out or nowhere, pipes, hidden and unfinished files stay where they are, and one line says so."""
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
        "Left in the inbox: .git (hidden), nowhere.jpg (a link to nothing), "
        "outside (a link that leads out of the inbox), outside.jpg (a link that leads out of the inbox), "
        "pipe.jpg (no regular file), scan.jpg.part (by its name still being written)"
    ]


async def test_unfinished_and_hidden_files_are_not_taken(tmp_path: Path) -> None:
    """What programs write on the way to a file, and what people do not see, is left alone."""
    for name in (".DS_Store", "a.jpg.part", "b.crdownload", "c~", ".git/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert await Inbox(tmp_path).look() == []


async def test_files_come_as_they_are_copied_in(tmp_path: Path) -> None:
    """What is there at the start comes first, then what is copied in while it watches."""
    (tmp_path / "there.jpg").write_bytes(jpeg(b"1"))
    files = Inbox(tmp_path).files()
    assert (await anext(files)).name == "there.jpg"
    (tmp_path / "new.jpg").write_bytes(jpeg(b"2"))
    assert (await asyncio.wait_for(anext(files), 10)).name == "new.jpg"
    await files.aclose()  # type: ignore[attr-defined] # an async generator


def test_an_inbox_that_was_made_goes_again_when_it_is_empty(tmp_path: Path) -> None:
    """The directory is made where it is missing; at the end it stays only with something in it or if it was there."""
    made, kept, there = tmp_path / "made", tmp_path / "kept", tmp_path / "there"
    there.mkdir()
    for path in (made, kept, there):
        with inboxes.directory(path):
            assert path.is_dir()
            if path == kept:
                (path / "x").touch()
    assert [path.exists() for path in (made, kept, there)] == [False, True, True]
