"""Rasters: decoded pictures made upright, scaled, cut into slices and encoded as JPEG."""

import io
import math
from itertools import pairwise
from typing import Final

from PIL import Image

from worker.errors import Rejected
from worker.extraction.headers import DRAFTED
from worker.extraction.pages import ImageLimits, Page

TALL: Final = 3.0
"""From this ratio of its sides on, a picture is a till roll."""
LEGIBLE_WIDTH: Final = 480
"""A till roll that would be scaled narrower than this, in pixels, is cut into slices instead."""
_BAND_PIXELS: Final = 1_000_000
"""Pixels that are converted to RGB at a time: some modes need several copies for it."""
EXIF_ORIENTATION: Final = 0x0112
TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes each EXIF orientation upright. Pillow's own helper also rewrites the other tags, and
fails if one of them is malformed."""


def fitting_scale(size: tuple[int, int], limits: ImageLimits) -> float:
    """Return the factor, at most 1, that makes a picture of `size` fit the limits on its sides."""
    long, short = max(size), min(size)
    if long / short < TALL:
        return min(1.0, limits.max_side / long)
    narrow = limits.max_side / 2 / short
    return min(1.0, narrow if needs_slicing(size, limits) else min(narrow, limits.max_tall_side / long))


def needs_slicing(size: tuple[int, int], limits: ImageLimits) -> bool:
    """Return whether a till roll of `size` would not be legible when it is scaled as a whole."""
    long, short = max(size), min(size)
    return long / short >= TALL and long > limits.max_tall_side and short * limits.max_tall_side / long < LEGIBLE_WIDTH


def upright(image: Image.Image, limits: ImageLimits) -> Image.Image:
    """Return the current frame of `image` as an upright, scaled picture in RGB or L."""
    scale = fitting_scale(image.size, limits)
    goal = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    if image.format in DRAFTED:
        # Decodes at 1/2, 1/4 or 1/8. Pillow ignores a box with other proportions than the picture.
        image.draft(None, goal)
    image.load()
    frame = plain(image, factor=max(1, min(image.width // goal[0], image.height // goal[1])))
    if frame.size != goal:
        frame = frame.resize(goal, Image.Resampling.BICUBIC)
    turn = TURNS.get(orientation)
    return frame.copy() if turn is None else frame.transpose(turn)


def plain(frame: Image.Image, *, factor: int = 1) -> Image.Image:
    """Return `frame` in RGB or L, `factor` times smaller: 16 bits become 8, transparency becomes white paper."""
    if frame.mode in {"RGB", "L"} and "transparency" not in frame.info:
        return frame.reduce(factor) if factor > 1 else frame
    deep = frame.mode.startswith("I") or frame.mode == "F"
    levels = _levels(frame) if deep else None
    made = Image.new("L" if deep or frame.mode == "1" else "RGB", [-(-side // factor) for side in frame.size])
    rows = max(1, _BAND_PIXELS // frame.width // factor) * factor
    for top in range(0, frame.height, rows):
        band = frame.crop((0, top, frame.width, min(top + rows, frame.height)))
        band = _plain_band(band) if levels is None else _eight_bits(band, *levels)
        made.paste(band.reduce(factor), (0, top // factor))
    return made


def _plain_band(band: Image.Image) -> Image.Image:
    if band.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in band.info:
        rgba = band.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(paper, rgba).convert("RGB")
    return band.convert("L" if band.mode == "1" else "RGB")


def _levels(frame: Image.Image) -> tuple[float, float]:
    """Return the black level of a 16 or 32 bit grey picture and its distance to white, from the values in it.

    A plain conversion to 8 bits would clip nearly everything to white. Floating-point values range from 0 to 1 unless
    one is larger.
    """
    low, high = (float(value) for value in frame.getextrema())  # type: ignore[arg-type]  # one band: a pair of numbers
    if high > 255:
        return low, max(high - low, 1.0)
    return 0.0, 1.0 if frame.mode == "F" and high <= 1 else 255.0


def _eight_bits(band: Image.Image, low: float, span: float) -> Image.Image:
    return band.convert("F").point(lambda value: value * (255 / span) - low * 255 / span).convert("L")


def slices(picture: Image.Image, limits: ImageLimits) -> list[Image.Image]:
    """Return the picture, or its slices if it is a till roll too long to scale.

    Each cut is in the lightest row near its place.
    """
    if not needs_slicing(picture.size, limits):
        return [picture]
    if picture.width > picture.height:
        picture = picture.transpose(Image.Transpose.ROTATE_270)
    count = min(math.ceil(picture.height / (picture.width * 4)), limits.max_pages)  # the total is at the end
    places = (picture.height * number // count for number in range(1, count))
    cuts = [0, *(_blank_row(picture, place, picture.width // 4) for place in places), picture.height]
    return [picture.crop((0, top, picture.width, bottom)) for top, bottom in pairwise(cuts)]


def _blank_row(picture: Image.Image, place: int, reach: int) -> int:
    """Return the lightest row within `reach` rows of `place`."""
    band = picture.crop((0, place - reach, picture.width, place + reach)).convert("L")
    rows = band.resize((1, band.height), Image.Resampling.BOX).tobytes()
    return place - reach + max(range(len(rows)), key=rows.__getitem__)


def fit_together(pictures: list[Image.Image], most_pixels: int) -> list[Image.Image]:
    """Return the pictures, all scaled by one factor so that together they have at most `most_pixels`."""
    factor = math.sqrt(most_pixels / sum(picture.width * picture.height for picture in pictures))
    if factor >= 1:
        return pictures
    goals = [(max(1, int(picture.width * factor)), max(1, int(picture.height * factor))) for picture in pictures]
    return [picture.resize(goal, Image.Resampling.LANCZOS) for picture, goal in zip(pictures, goals, strict=True)]


def jpeg(picture: Image.Image, most: int, quality: int) -> Page:
    """Return `picture` as a JPEG of at most `most` bytes: lower the quality first, then the number of pixels.

    Raises `Rejected` if that takes fewer pixels than are legible.
    """
    while True:
        for tried in (quality, min(quality, 75), min(quality, 60)):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=tried)
            if buffer.tell() <= most:
                return Page(buffer.getvalue(), "image/jpeg", picture.width, picture.height)
        if max(picture.size) < LEGIBLE_WIDTH:
            raise Rejected("too_large", "the pages cannot be reduced to the endpoint's limit and stay legible")
        smaller = (max(1, picture.width * 7 // 10), max(1, picture.height * 7 // 10))
        picture = picture.resize(smaller, Image.Resampling.BICUBIC)
