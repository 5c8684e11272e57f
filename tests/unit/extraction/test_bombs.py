"""Uploads made to keep a decoder busy are rejected early, before they use much time or memory."""

import io
import struct
import sys
import zlib

import pytest
from PIL import Image

from worker.errors import Rejected
from worker.extraction import sandbox
from worker.extraction.headers import MOST_FRAMES
from worker.extraction.pages import ImageLimits
from worker.extraction.sandbox import prepare


def _nested_forms(levels: int) -> bytes:
    """Return a small PDF whose page draws a form that draws the next one ten times, and so on."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R"
        b" /Resources << /XObject << /F 5 0 R >> >> >>",
        b"<< /Length 5 >>\nstream\n/F Do\nendstream",
    ]
    for level in range(levels):
        last = level == levels - 1
        drawing = b"0 0 10 10 re f" if last else b"/F Do " * 10
        resources = b"" if last else b"/Resources << /XObject << /F %d 0 R >> >>" % (6 + level)
        form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 300 300] %b /Length %d >>\nstream\n%b\nendstream"
        objects.append(form % (resources, len(drawing), drawing))
    body = b"%PDF-1.4\n"
    for number, content in enumerate(objects, 1):
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    return body + b"trailer << /Root 1 0 R >>\n%%EOF"


def test_a_pdf_that_takes_too_long_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kilobytes of nested forms are rejected when the time limit ends."""
    monkeypatch.setattr(sandbox, "DRAW_S", 3.0)
    with pytest.raises(Rejected, match="corrupt"):
        prepare(_nested_forms(14), ImageLimits())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit a process's memory so")
def test_a_pdf_that_unpacks_to_gigabytes_is_rejected() -> None:
    """It hits the memory limit of the sandbox, and is rejected at once instead of retried."""
    page = zlib.compress(b" " * 400_000_000)
    bomb = (
        b"%%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        b"2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"
        b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R >>\nendobj\n"
        b"4 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream\nendobj\n"
        b"trailer << /Root 1 0 R >>\n%%%%EOF" % (len(page), page)
    )
    with pytest.raises(Rejected, match="corrupt: decoding crashes or takes too much memory"):
        prepare(bomb, ImageLimits())


def test_a_picture_that_needs_much_memory_is_decoded_in_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox gives the same result as the worker process."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGBA").save(buffer, "PNG")
    here = prepare(buffer.getvalue(), ImageLimits())
    monkeypatch.setattr(sandbox, "APART_BYTES", 1_000)
    monkeypatch.setattr(sandbox, "prepare_here", None)
    assert prepare(buffer.getvalue(), ImageLimits()) == here


def test_noise_after_a_signature_is_corrupt_not_truncated() -> None:
    """The reason `truncated` would only invite another upload of the same file."""
    with pytest.raises(Rejected, match="corrupt"):
        prepare(b"\xff\xd8\xff\xe0\xf5\xb1\x65\x22" + bytes(range(256)) * 50, ImageLimits())


def test_a_jpeg_with_very_many_scans_is_rejected() -> None:
    """The number of scans is limited before decoding, because each costs a pass over the whole picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (640, 640), "white").save(buffer, "JPEG", progressive=True)
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    bomb = buffer.getvalue().removesuffix(b"\xff\xd9") + scan * 5_000
    with pytest.raises(Rejected, match="corrupt"):
        prepare(bomb, ImageLimits())


def test_counting_the_pages_of_a_tiff_is_limited() -> None:
    """The first pages are read, and the count stops at `MOST_FRAMES`."""
    pages = [Image.new("1", (32, 32), 1) for _ in range(MOST_FRAMES + 50)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    prepared = prepare(buffer.getvalue(), ImageLimits(max_pages=2))
    assert (len(prepared.pages), prepared.page_count) == (2, MOST_FRAMES)


def test_a_malformed_exif_tag_does_not_matter() -> None:
    """A picture is turned by its EXIF orientation even if another tag is malformed."""
    image = Image.new("RGB", (60, 40), "white")
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    resolution_in_letters = struct.pack("<HHI4s", 0x011A, 2, 4, b"abc")
    tags = orientation + resolution_in_letters
    exif = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 2) + tags + b"\x00" * 4
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    prepared = prepare(buffer.getvalue(), ImageLimits())
    assert (prepared.pages[0].width, prepared.pages[0].height) == (40, 60)
