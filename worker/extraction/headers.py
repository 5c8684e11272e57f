"""Headers of image files: the limits that can be checked before a pixel is decoded."""

import io
import re
from typing import Final

import pillow_heif
from PIL import Image

from worker.errors import Rejected
from worker.extraction.media import PILLOW_FORMATS, sniff, without_metadata
from worker.extraction.pages import ImageLimits

pillow_heif.register_heif_opener()
# Pillow's own limit only warns. `refuse_by_header` checks ours, which comes from a setting, before decoding.
Image.MAX_IMAGE_PIXELS = None

SMALLEST_SIDE: Final = 16
"""A picture with a side shorter than this, in pixels, cannot hold a line of text."""
DRAFTED: Final = frozenset({"JPEG", "MPO"})
"""Pillow's names for JPEG files. An MPO is a JPEG with a second picture in it, as many telephones write it."""
START_OF_SCAN: Final = re.compile(b"\xff\xda\x00")
"""The marker and the first byte of its segment's length, which is 14 at most (ITU-T T.81, B.2.3). A regular expression
finds it in a third of the time that bytes.count takes."""
MOST_SCANS: Final = 100
"""A normal progressive JPEG has about ten scans. Each scan costs a pass over the whole picture, however short it is."""
MOST_FRAMES: Final = 1_000
"""Pages of a TIFF that are counted at most: the time to walk them grows with the square of their number."""
_PEAK_BYTES: Final = {"WEBP": 16, "AVIF": 9, "HEIF": 7}
"""Peak memory of these decoders in bytes per pixel, measured with 59 megapixels."""
_SMALL_BYTES: Final = 128 * 1024 * 1024
"""Below this decoded size, skip counting JPEG scans: no configured limit can be exceeded."""


def refuse_scans(jpeg: bytes) -> None:
    """Raise `Rejected` if the JPEG has more than `MOST_SCANS` scans."""
    if len(START_OF_SCAN.findall(jpeg)) > MOST_SCANS:
        raise Rejected("corrupt", f"the JPEG has more than {MOST_SCANS} scans, which would keep the decoder busy")


def refuse_by_header(image: Image.Image, data: bytes, limits: ImageLimits) -> None:
    """Raise `Rejected` if the header shows that the picture is too small or exceeds a limit."""
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise Rejected("too_many_pixels", f"{image.width} x {image.height} pixels; the limit is {limits.max_pixels}")
    if min(image.size) < SMALLEST_SIDE:
        raise Rejected("too_small", f"{image.width} x {image.height} pixels cannot hold text")
    if _decoding_bytes(image, data) > limits.max_decoded_bytes:
        raise Rejected(
            "too_many_pixels",
            f"{image.width} x {image.height} pixels in this format need more than {limits.max_decoded_bytes} bytes "
            "of memory",
        )


def count_frames(image: Image.Image) -> int:
    """Return the number of pages of a TIFF, `MOST_FRAMES` if it has more."""
    count = 1
    try:
        while count < MOST_FRAMES:
            image.seek(count)
            count += 1
    except EOFError:
        pass
    finally:
        image.seek(0)
    return count


def decoding_bytes(data: bytes) -> int:
    """Return the bytes of memory that decoding the first page takes, or 0 if `data` is not a picture."""
    media_type = sniff(data)
    if media_type not in PILLOW_FORMATS:
        return 0
    data = without_metadata(data) if media_type == "image/png" else data
    try:
        with Image.open(io.BytesIO(data), formats=[PILLOW_FORMATS[media_type]]) as image:
            return _decoding_bytes(image, data)
    except Exception:  # noqa: BLE001 - decoders raise anything; `prepare` reports what is wrong
        return 0


def _decoding_bytes(image: Image.Image, data: bytes) -> int:
    """Return the bytes of memory that decoding takes, according to the header.

    A JPEG with one scan is decoded at a fraction of its size. One with several is held whole, two bytes per sample.
    """
    pixels = image.width * image.height
    if image.format in DRAFTED:
        sampled = [int(across) * int(down) for _, across, down, _ in getattr(image, "layer", [])]
        held = 2 * pixels * sum(sampled) // max(sampled, default=1)
        if held <= _SMALL_BYTES:
            return held
        several = image.info.get("progressive") or len(START_OF_SCAN.findall(data)) > 1
        return held if several else 0
    return pixels * _PEAK_BYTES.get(image.format or "", 1 if image.mode in {"1", "L", "P"} else 4)
