"""Pictures: decodes the bytes of a request to an RGB array of bounded size, on white, with EXIF rotation applied."""

import io
import warnings
from typing import Final

import cv2
import numpy as np
from cv2.typing import MatLike
from PIL import Image, ImageOps

Pixels = MatLike
"""Height x width x 3, RGB, 8 bit."""

MAX_SOURCE_PIXELS: Final = 120_000_000
"""A picture with more pixels is refused before it is decoded."""

MAX_PIXELS: Final = 10_000_000
"""Larger pictures are reduced to this: enough for small print on a whole A4 scan, or a till roll of 500 x 20,000."""

MAX_SIDE: Final = 20_000

_DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})


class BadPictureError(ValueError):
    """The bytes cannot be read as a picture; the message gives the reason. The response is 400."""


def decode(body: bytes) -> Pixels:
    """Return the first frame of `body` (any format that Pillow reads) as RGB on white, at most `MAX_PIXELS` large.

    The EXIF orientation is applied. Raises `BadPictureError`.
    """
    if not body:
        raise BadPictureError("The picture is empty.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures, but our own limit applies
            with Image.open(io.BytesIO(body)) as image:
                return _pixels(image)
    except BadPictureError:
        raise
    except Exception as error:  # decoders raise anything on broken files
        raise BadPictureError("The picture cannot be decoded.") from error


def _pixels(image: Image.Image) -> Pixels:
    width, height = image.size
    if width * height > MAX_SOURCE_PIXELS:
        raise BadPictureError(f"The picture has {width} x {height} pixels; the limit is {MAX_SOURCE_PIXELS}.")
    share = min(1.0, (MAX_PIXELS / (width * height)) ** 0.5, MAX_SIDE / max(width, height))
    image.draft(None, (max(1, round(width * share)), max(1, round(height * share))))
    upright = ImageOps.exif_transpose(image)
    pixels = np.ascontiguousarray(_on_white(upright))
    return shrink(pixels, max_pixels=MAX_PIXELS, max_side=MAX_SIDE)


def _on_white(image: Image.Image) -> Pixels:
    if image.mode in _DEEP:
        deep = np.asarray(image, dtype=np.float32)
        top = float(deep.max()) or 1.0
        full = 65535.0 if top > 255 else 255.0 if top > 1 else 1.0
        return cv2.cvtColor((deep / full * 255).clip(0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        clear = image.convert("RGBA")
        page = Image.new("RGBA", clear.size, "white")
        page.alpha_composite(clear)
        image = page
    return np.asarray(image.convert("RGB"))


def shrink(pixels: Pixels, *, max_pixels: int, max_side: int) -> Pixels:
    """Return `pixels` reduced proportionally to the limits, or unchanged if it is within them."""
    height, width = pixels.shape[:2]
    share = min(1.0, (max_pixels / (width * height)) ** 0.5, max_side / max(width, height))
    if share >= 1:
        return pixels
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def turn(pixels: Pixels, quarters: int) -> Pixels:
    """Return the picture turned counter-clockwise by `quarters` x 90 degrees."""
    return np.ascontiguousarray(np.rot90(pixels, quarters))
