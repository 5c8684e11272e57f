"""PDF files: their pages drawn as pictures."""

import math
import threading
from typing import Final

import pypdfium2
from PIL import Image

from worker.errors import Rejected
from worker.extraction import raster
from worker.extraction.headers import SMALLEST_SIDE
from worker.extraction.pages import ImageLimits

DPI_LIMIT: Final = 300
_LOCK = threading.Lock()
"""PDFium is not safe to use from two threads (pypdfium2's README)."""


def draw(data: bytes, limits: ImageLimits) -> tuple[list[Image.Image], int]:
    """Return the first pages of a PDF as pictures, and how many pages it has.

    At most `limits.max_pages` pages are drawn. Raises `Rejected` if the PDF cannot be opened or drawn.
    """
    with _LOCK:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            locked = "password" in str(error).lower()
            raise Rejected("encrypted" if locked else "corrupt", "the PDF cannot be opened") from error
        try:
            count = len(document)
            if count == 0:
                raise Rejected("empty", "the PDF has no pages")
            pictures = []
            for number in range(min(count, limits.max_pages)):
                pictures += raster.slices(_draw_page(document, number, limits), limits)
        finally:
            document.close()
    return pictures, count


def _draw_page(document: pypdfium2.PdfDocument, number: int, limits: ImageLimits) -> Image.Image:
    try:
        page = document[number]
        width, height = (max(side, 1.0) for side in page.get_size())
        # A page states its size in points of 1/72 inch. Some generators write absurd sizes, so pixels are capped.
        scale = DPI_LIMIT / 72
        scale *= raster.fitting_scale((math.ceil(width * scale), math.ceil(height * scale)), limits)
        scale = min(scale, math.sqrt(limits.max_pixels / (width * height)))
        picture: Image.Image = page.render(scale=scale).to_pil()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise Rejected("corrupt", "a page of the PDF cannot be drawn") from error
    if min(picture.size) < SMALLEST_SIDE:
        raise Rejected("too_small", "a page of the PDF is too small to hold text")
    return raster.plain(picture)
