"""Any upload becomes upright pictures that fit the limits, or is rejected with a reason."""

import dataclasses
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.errors import Rejected
from worker.extraction.pages import ImageLimits, Prepared
from worker.extraction.prepare import prepare

LIMITS = ImageLimits(max_pixels=4_000_000, max_side=400, max_tall_side=1_600, max_bytes=200_000)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of odd tags and goes on


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def paper(mode: str = "RGB", size: tuple[int, int] = (120, 200)) -> Image.Image:
    image = Image.new("L", size, 255)
    image.paste(0, (10, 10, 60, 20))
    return image.convert(mode)


def opened(prepared: Prepared) -> list[Image.Image]:
    return [Image.open(io.BytesIO(page.data)) for page in prepared.pages]


WHOLE = [
    encoded(paper(), "JPEG"),
    encoded(paper(), "PNG"),
    encoded(paper(), "WEBP"),
    encoded(paper(), "GIF"),
    encoded(paper(), "BMP"),
    encoded(paper(), "TIFF"),
    encoded(paper(), "PDF"),
    encoded(paper(), "HEIF"),
]


@given(st.data())
@settings(max_examples=150)
def test_any_bytes_are_prepared_or_rejected(data: st.DataObject) -> None:
    """A truncated or corrupted file is either prepared or rejected; no other error is raised."""
    body = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body
    try:
        prepared = prepare(bytes(body), LIMITS)
    except Rejected as error:
        assert error.reason.isidentifier()  # noqa: PT017 - either is right
        return
    assert prepared.pages


@pytest.mark.parametrize("body", WHOLE, ids=["jpeg", "png", "webp", "gif", "bmp", "tiff", "pdf", "heif"])
def test_every_kind_becomes_pictures_that_fit(body: bytes) -> None:
    """The pages that are sent are JPEG or PNG, in RGB or grey."""
    for page, image in zip((prepared := prepare(body, LIMITS)).pages, opened(prepared), strict=True):
        assert page.media_type in {"image/jpeg", "image/png"}
        assert image.mode in {"RGB", "L"}
        assert (page.width, page.height) == image.size


@given(st.integers(16, 1_200), st.integers(16, 1_200))
@settings(max_examples=40)
def test_pages_stay_within_the_limits(width: int, height: int) -> None:
    """For any proportions, no side and no sum of bytes exceeds the limits."""
    prepared = prepare(encoded(paper(size=(width, height)), "PNG"), LIMITS)
    assert sum(len(page.data) for page in prepared.pages) <= LIMITS.max_bytes
    for page in prepared.pages:
        assert max(page.width, page.height) <= LIMITS.max_tall_side


def test_a_picture_that_fits_is_passed_on_unchanged() -> None:
    """A small JPEG is not re-encoded."""
    assert prepare(WHOLE[0], LIMITS).pages[0].data == WHOLE[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "I;16", "1"])
def test_every_mode_keeps_dark_on_light(mode: str) -> None:
    """Alpha, palettes, CMYK and 16 bits come out as dark ink on light paper."""
    kind = "TIFF" if mode in {"CMYK", "I;16"} else "PNG"
    image = Image.new("I;16", (120, 200), 60_000) if mode == "I;16" else paper(mode)
    if mode == "I;16":
        image.paste(100, (10, 10, 60, 20))
    (shown,) = opened(prepare(encoded(image, kind), LIMITS))
    grey = shown.convert("L")
    assert grey.getpixel((100, 150)) > 200  # type: ignore[operator]  # one band: a number
    assert grey.getpixel((30, 15)) < 60  # type: ignore[operator]  # one band: a number


def deep(channels: int) -> NDArray[np.uint16]:
    """Return the paper with 16 bits per channel; a fourth channel is opaque."""
    shown = np.full((200, 120, channels), 60_000, np.uint16)
    shown[10:20, 10:60] = 2_000
    shown[:, :, 3:] = 65_535
    return shown


def deep_png(channels: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep(channels))
    head = struct.pack(">IIBBBBB", 120, 200, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_tiff(order: str) -> bytes:
    """Return a TIFF with three channels of 16 bits; `order` is its byte order in the notation of `struct`."""
    data = deep(3).astype(f"{order}u2").tobytes()
    at = 8 + 6  # the header, and the depths of the channels
    short, long = 3, 4
    tags = [(256, short, 120), (257, short, 200), (258, short, 8), (259, short, 1), (262, short, 2)]
    tags += [(273, long, at), (277, short, 3), (278, short, 200), (279, long, len(data))]
    ifd = struct.pack(f"{order}H", len(tags))
    for tag, kind, value in tags:
        count, form = (3, "I") if tag == 258 else (1, "HH" if kind == short else "I")
        ifd += struct.pack(f"{order}HHI{form}", tag, kind, count, *((value, 0) if form == "HH" else (value,)))
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at + len(data))
    return start + struct.pack(f"{order}HHH", 16, 16, 16) + data + ifd + b"\0" * 4


@pytest.mark.parametrize(
    "data",
    [deep_png(3), deep_png(4), deep_tiff("<"), deep_tiff(">")],
    ids=["PNG", "PNG with alpha", "TIFF", "TIFF of big end"],
)
def test_colour_of_16_bits_becomes_8(data: bytes) -> None:
    """Pictures with 48 bits per pixel are sent with 24, with dark ink on light paper."""
    (page,) = prepare(data, LIMITS).pages
    shown = Image.open(io.BytesIO(page.data))
    assert (page.media_type, shown.mode, shown.size) == ("image/jpeg", "RGB", (120, 200))
    assert shown.convert("L").getpixel((100, 150)) > 200  # type: ignore[operator]  # one band: a number
    assert shown.convert("L").getpixel((30, 15)) < 60  # type: ignore[operator]  # one band: a number


@pytest.mark.parametrize(("kind", "pages"), [("PNG", 1), ("JPEG", 1), ("TIFF", 1), ("TIFF", 3)])
def test_all_pages_stay_within_the_model_s_pixels(kind: str, pages: int) -> None:
    """All pages together have at most, and nearly, the allowed number of pixels, and are not distorted."""
    first = paper(size=(300, 400))
    more: dict[str, Any] = {"save_all": True, "append_images": [first] * (pages - 1)} if kind == "TIFF" else {}
    prepared = prepare(encoded(first, kind, **more), dataclasses.replace(LIMITS, max_sent_pixels=100_000))
    assert len(prepared.pages) == pages
    assert 95_000 <= sum(page.width * page.height for page in prepared.pages) <= 100_000
    assert all(abs(page.width / page.height - 3 / 4) < 0.01 for page in prepared.pages)


def test_a_picture_with_few_pixels_is_passed_on() -> None:
    """A picture within the limit on sent pixels is sent unchanged."""
    data = encoded(paper(), "JPEG")
    assert prepare(data, dataclasses.replace(LIMITS, max_sent_pixels=120 * 200)).pages[0].data == data


@pytest.mark.parametrize("packed", [False, True], ids=["tEXt", "zTXt"])
def test_a_png_with_megabytes_of_text_is_accepted(packed: bool) -> None:
    """A PNG with more text than Pillow accepts is prepared without its text."""
    text = PngInfo()
    text.add_text("note", "long " * 20_000_000 if packed else "long " * 2_000_000, zip=packed)
    prepared = prepare(encoded(paper(), "PNG", pnginfo=text), LIMITS)
    assert opened(prepared)[0].size == (120, 200)
    assert len(prepared.pages[0].data) < 10_000


def test_a_png_with_a_large_colour_profile_is_accepted() -> None:
    """A colour profile that is larger than Pillow accepts is dropped, and the picture is prepared."""
    prepared = prepare(encoded(paper(), "PNG", icc_profile=bytes(2_000_000)), LIMITS)
    assert opened(prepared)[0].size == (120, 200)


def test_numbers_with_a_fraction_are_read_from_0_to_1() -> None:
    """A floating-point grey TIFF does not become a black picture."""
    image = paper("L").convert("F").point(lambda value: value * (1 / 255) + 0)
    (shown,) = opened(prepare(encoded(image, "TIFF"), LIMITS))
    assert shown.getpixel((100, 150)) > 200  # type: ignore[operator]  # one band: a number
    assert shown.getpixel((30, 15)) < 60  # type: ignore[operator]  # one band: a number


def test_transparent_paper_is_white() -> None:
    """Black ink on a transparent background becomes black on white."""
    image = Image.new("RGBA", (120, 200), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (10, 10, 60, 20))
    (shown,) = opened(prepare(encoded(image, "PNG"), LIMITS))
    assert shown.convert("L").getpixel((100, 150)) == 255


def test_a_turned_photo_is_turned_back() -> None:
    """A picture with EXIF orientation 6 is turned upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (shown,) = opened(prepare(encoded(paper(size=(300, 100)), "JPEG", exif=exif), LIMITS))
    assert shown.size == (100, 300)


@pytest.mark.parametrize(("length", "most"), [(4_000, 10), (12_000, 10), (12_000, 3), (12_000, 1)])
def test_a_long_till_roll_is_cut_into_legible_slices(length: int, most: int) -> None:
    """A roll that would become too narrow is sent in slices of full width, up to its end."""
    roll = paper(size=(200, length))
    roll.paste(0, (10, length - 30, 190, length - 10))
    limits = dataclasses.replace(LIMITS, max_pages=most, max_bytes=2_000_000)
    prepared = prepare(encoded(roll, "PNG"), limits)
    assert 1 <= len(prepared.pages) <= most
    assert {page.width for page in prepared.pages} == {200}
    assert sum(page.height for page in prepared.pages) == length
    end = opened(prepared)[-1].convert("L")
    assert end.getpixel((100, end.height - 20)) < 60  # type: ignore[operator]  # one band: a number


@pytest.mark.parametrize(("pages", "height", "whole"), [(2, 200, True), (3, 200, False), (2, 16_000, False)])
def test_unsent_pages_are_reported(pages: int, height: int, whole: bool) -> None:
    """`whole` is false if pages or slices beyond the limit are not sent."""
    first = paper(size=(400, height))
    body = encoded(first, "TIFF", save_all=True, append_images=[paper()] * (pages - 1))
    prepared = prepare(body, dataclasses.replace(LIMITS, max_pages=2, max_pixels=10_000_000))
    assert prepared.whole == whole


def test_memory_is_counted_as_the_decoder_takes_it() -> None:
    """WebP and JPEGs with several scans are rejected before decoding if their decoder needs too much memory."""
    image = paper(size=(300, 400))
    limits = dataclasses.replace(LIMITS, max_decoded_bytes=600_000)
    large = [encoded(image, "WEBP"), encoded(image, "JPEG", progressive=True, subsampling=0)]
    for body in large:
        with pytest.raises(Rejected, match="too_many_pixels"):
            prepare(body, limits)
    for body in (encoded(image, "PNG"), encoded(image, "JPEG"), encoded(image, "JPEG", progressive=True)):
        assert prepare(body, limits).pages


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
def test_bands_leave_no_seams(mode: str) -> None:
    """A picture converted to RGB in bands looks the same as if it were converted at once."""
    grey = Image.linear_gradient("L").resize((1_100, 3_300))
    image = Image.new("I;16", grey.size) if mode == "I;16" else grey.convert("RGB").convert(mode)
    if mode == "I;16":
        image.frombytes((np.asarray(grey).astype(np.uint16) * 257).tobytes())
    (shown,) = opened(prepare(encoded(image, "PNG"), LIMITS))
    column = np.asarray(shown.convert("L")).astype(int)[:, shown.width // 2]
    wanted = np.asarray(grey.resize(shown.size)).astype(int)[:, shown.width // 2]
    assert np.abs(column - wanted).max() <= 6


def test_pages_of_a_tiff_are_pages() -> None:
    """A TIFF with three pages becomes three pictures."""
    body = encoded(paper(), "TIFF", save_all=True, append_images=[paper(), paper()])
    prepared = prepare(body, LIMITS)
    assert (len(prepared.pages), prepared.page_count) == (3, 3)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not_an_image"),
        (WHOLE[0][:-400], "truncated"),
        (encoded(paper(size=(8, 300)), "PNG"), "too_small"),
        (encoded(paper("1", size=(3_000, 3_000)), "PNG"), "too_many_pixels"),
        (b"%PDF-1.4 nothing more", "corrupt"),
    ],
)
def test_a_rejection_has_its_reason(body: bytes, reason: str) -> None:
    """Each kind of unusable file is rejected with a specific reason."""
    with pytest.raises(Rejected) as caught:
        prepare(body, LIMITS)
    assert caught.value.reason == reason
