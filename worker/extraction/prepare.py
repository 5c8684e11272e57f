"""Preparation: turns an upload of any supported type into upright RGB pictures that fit the endpoint.

A picture that fits already is passed on unchanged. Sizes are checked in the header before anything is decoded. This is
CPU work that releases the GIL, so it runs in a thread.
"""

import io
import re
from typing import Final

from PIL import Image, UnidentifiedImageError

from worker.errors import Rejected
from worker.extraction import pdf, raster
from worker.extraction.headers import count_frames, refuse_by_header, refuse_scans
from worker.extraction.media import PDF, PILLOW_FORMATS, is_complete, sniff, without_metadata
from worker.extraction.pages import ImageLimits, Page, Prepared
from worker.resilience.machine import machine_fault

PASSED_ON: Final = frozenset({"image/jpeg", "image/png"})
"""The types that every endpoint takes."""
PNG_DEPTH: Final = 24
"""Offset of a PNG's bits per channel (its first chunk has a fixed place)."""
_NO_SEGMENT: Final = re.compile(rb"\xff\xd8\xff[\xe0-\xef]..(?![A-Za-z]{3})", re.DOTALL)
"""A JPEG whose first application segment does not begin with a name: noise, not a picture that was cut off."""


def prepare(data: bytes, limits: ImageLimits) -> Prepared:
    """Return the pages to send for the upload `data`. Raises `Rejected` if it cannot be sent.

    An error of the machine, such as a lack of memory or descriptors, passes through: see `machine_fault`.
    """
    if not data:
        raise Rejected("empty", "the object has no bytes")
    media_type = sniff(data)
    if media_type is None:
        raise Rejected("not_an_image", "the file is not a JPEG, PNG, TIFF, WebP, GIF, BMP, HEIC, AVIF or PDF")
    if media_type == PDF:
        pictures, count = pdf.draw(data, limits)
        return _encoded(pictures, PDF, count, limits)
    if media_type == "image/png":
        data = without_metadata(data)
    if media_type == "image/jpeg":
        refuse_scans(data)
    try:
        return _prepare_image(data, media_type, limits)
    except Rejected:
        raise
    except Exception as error:
        if machine_fault(error):
            raise
        raise _undecodable(error, data) from error


def refuse_undecodable(prepared: Prepared) -> None:
    """Raise `Rejected` if a page cannot be decoded: of a page that was passed on, only the header has been read."""
    for page in prepared.pages:
        try:
            with Image.open(io.BytesIO(page.data), formats=[PILLOW_FORMATS[page.media_type]]) as image:
                image.load()
        except Exception as error:
            if machine_fault(error):
                raise
            raise _undecodable(error, page.data) from error


def _undecodable(error: Exception, data: bytes) -> Rejected:
    """Return the rejection for a decoder's error; on broken bytes Pillow's decoders raise anything, even KeyError."""
    ended = "truncat" in str(error).lower() or "end of" in str(error).lower()
    truncated = ended and not _NO_SEGMENT.match(data)
    return Rejected("truncated" if truncated else "corrupt", "the picture cannot be decoded")


def _prepare_image(data: bytes, media_type: str, limits: ImageLimits) -> Prepared:
    try:
        image = Image.open(io.BytesIO(data), formats=[PILLOW_FORMATS[media_type]])
    except UnidentifiedImageError as error:
        raise Rejected("corrupt", "the picture's header is not valid") from error
    with image:
        refuse_by_header(image, data, limits)
        if _fits(image, data, media_type, limits):
            page = Page(data, media_type, image.width, image.height)
            return Prepared(pages=(page,), media_type=media_type, page_count=1)
        count = count_frames(image) if media_type == "image/tiff" else 1
        pictures = []
        for number in range(min(count, limits.max_pages)):
            if number:
                image.seek(number)
                refuse_by_header(image, data, limits)
            pictures += raster.slices(raster.upright(image, limits), limits)
    return _encoded(pictures, media_type, count, limits)


def _fits(image: Image.Image, data: bytes, media_type: str, limits: ImageLimits) -> bool:
    """Return whether the upload can be sent unchanged."""
    return (
        media_type in PASSED_ON
        and image.mode in {"RGB", "L"}
        and "transparency" not in image.info
        and len(data) <= limits.max_bytes
        and raster.fitting_scale(image.size, limits) == 1
        and (limits.max_sent_pixels is None or image.width * image.height <= limits.max_sent_pixels)
        and not (media_type == "image/png" and data[PNG_DEPTH] > 8)
        and not raster.needs_slicing(image.size, limits)
        and getattr(image, "n_frames", 1) == 1
        and image.getexif().get(raster.EXIF_ORIENTATION, 1) == 1
        and is_complete(data, media_type)
    )


def _encoded(pictures: list[Image.Image], media_type: str, count: int, limits: ImageLimits) -> Prepared:
    whole = count <= limits.max_pages and len(pictures) <= limits.max_pages
    pictures = pictures[: limits.max_pages]
    share = limits.max_bytes // len(pictures)
    if limits.max_sent_pixels is not None:
        pictures = raster.fit_together(pictures, limits.max_sent_pixels)
    pages = tuple(raster.jpeg(picture, share, limits.jpeg_quality) for picture in pictures)
    return Prepared(pages=pages, media_type=media_type, page_count=count, whole=whole)
