from hashlib import sha256

from tests.support import pictures
from worker.aws.hashed import Hashed
from worker.extraction.pages import ImageLimits
from worker.extraction.prepare import prepare


def test_bytes_know_their_hash() -> None:
    """The hash is that of the bytes, which are otherwise as they were."""
    assert Hashed(b"abc").sha256 == sha256(b"abc").hexdigest()
    assert Hashed(b"abc") == b"abc"


def test_a_picture_that_passes_keeps_its_hash() -> None:
    """What is sent is the very object that was hashed, so that the signature need not hash it again."""
    data = Hashed(pictures.picture(1))
    (page,) = prepare(data, ImageLimits()).pages
    assert page.data is data
