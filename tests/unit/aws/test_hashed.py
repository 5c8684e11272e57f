from hashlib import sha256

from tests.support import pictures
from worker.aws.hashed import Hashed
from worker.extraction.pages import ImageLimits
from worker.extraction.prepare import prepare


def test_bytes_know_their_hash() -> None:
    """`sha256` is the hash of the bytes, which stay equal to plain bytes."""
    assert Hashed(b"abc").sha256 == sha256(b"abc").hexdigest()
    assert Hashed(b"abc") == b"abc"


def test_a_picture_that_passes_keeps_its_hash() -> None:
    """An unchanged picture is sent as the same object, so that its hash is not computed again."""
    data = Hashed(pictures.picture(1))
    (page,) = prepare(data, ImageLimits()).pages
    assert page.data is data
