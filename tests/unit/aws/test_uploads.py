"""Uploads: which files can be sent, under which key, and which record answers them."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.aws import uploads
from worker.aws.uploads import Uploaded
from worker.receipts.document import Version
from worker.receipts.record import Record


@given(st.lists(st.sampled_from(["a/x.jpg", "b/x.jpg", "c/x.jpg", "x-2.jpg", "y", "a/y", "Ä.png"])))
def test_every_file_gets_a_key_of_its_own(names: list[str]) -> None:
    """Two files never share a key, a file given twice has one key, and the extension stays."""
    keys = uploads.keys([Path(name) for name in names], prefix="in/")
    assert set(keys) == {Path(name) for name in names}
    assert len(set(keys.values())) == len(keys)
    for path, key in keys.items():
        assert key.startswith("in/")
        assert PurePosixPath(key).suffix == path.suffix


def test_a_name_that_is_not_utf_8_still_makes_a_key() -> None:
    """In a name that is not UTF-8, invalid bytes are replaced."""
    path = Path(os.fsdecode(b"bel\xe9g.jpg"))
    assert uploads.keys([path])[path] == "bel\N{REPLACEMENT CHARACTER}g.jpg"


def test_a_path_that_cannot_be_sent_is_explained(tmp_path: Path) -> None:
    """A directory, a missing file and a pipe each give an explanation; a file, even an empty one, gives none."""
    empty = tmp_path / "empty.jpg"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is a directory" in (uploads.problem(tmp_path) or "")
    assert "does not exist" in (uploads.problem(tmp_path / "nothing") or "")
    assert "not a regular file" in (uploads.problem(pipe) or "")
    assert uploads.problem(empty) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """A file without read permission gives an explanation."""
    secret = tmp_path / "secret.jpg"
    secret.touch(mode=0o000)
    assert "cannot be read" in (uploads.problem(secret) or "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.JPG", "image/jpeg"),
        ("a.heic", "image/heic"),
        ("a.pdf", "application/pdf"),
        ("a", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_name(name: str, expected: str) -> None:
    """File extensions of phones and scanners are known on every system."""
    assert uploads.media_type(Path(name)) == expected


OURS = Version(uploaded_at="2026-11-23T10:00:00.000Z", version_id="v1", etag="e1")


@pytest.mark.parametrize(
    ("version_id", "etag", "uploaded_at", "expected"),
    [
        ("v1", "e1", "2026-11-23T10:00:00.417Z", True),
        ("v0", "e1", "2026-11-23T09:59:59.000Z", False),
        (None, "e1", "2026-11-23T10:00:00.000Z", True),
        (None, "e0", "2026-11-23T10:00:00.000Z", False),
        ("v2", "e2", "2026-11-23T10:00:01.000Z", True),
    ],
    ids=["this upload", "an earlier one", "this, without versions", "another, without versions", "a later one"],
)
def test_a_record_answers_its_upload_or_an_earlier_one(
    *, version_id: str | None, etag: str, uploaded_at: str, expected: bool
) -> None:
    """The record of this upload or of a later one answers it, never that of an earlier one."""
    record = Record(
        document="b/k",
        status="extracted",
        version_id=version_id,
        etag=etag,
        uploaded_at=uploaded_at,
        stored_at="2026-11-23T10:00:05.000Z",
    )
    assert Uploaded(bucket="b", key="k", version=OURS).answered_by(record) is expected
