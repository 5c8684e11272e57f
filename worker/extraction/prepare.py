"""Preparation: whatever was uploaded becomes upright RGB pictures that fit the endpoint.

What fits already is passed on as it is. Sizes are judged from the header, before anything is decoded. All of this is
CPU work that lets go of the GIL: it belongs into a thread.
"""

import io
import math
import re
import threading
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

import pillow_heif
import pypdfium2
from PIL import Image, UnidentifiedImageError

from worker.errors import Rejected
from worker.extraction.media import PDF, PILLOW_FORMATS, bare, ends_as_it_should, sniff

if TYPE_CHECKING:
    from worker.settings import Settings

pillow_heif.register_heif_opener()
# Our own limit is checked before decoding, in pixels that a setting names; Pillow's would only warn.
Image.MAX_IMAGE_PIXELS = None

SMALLEST_SIDE: Final = 16
"""A picture with a side shorter than this, in pixels, holds no line of text."""
DRAFTED: Final = frozenset({"JPEG", "MPO"})
"""Pillow's names for a JPEG: one that holds a second picture, as many telephones make them, is an MPO."""
PASSED_ON: Final = frozenset({"image/jpeg", "image/png"})
"""What every endpoint takes."""
TALL: Final = 3.0
"""Sides in this proportion and more are a till roll."""
LEGIBLE_WIDTH: Final = 480
"""A till roll that would be scaled narrower than this, in pixels, is cut into slices instead."""
START_OF_SCAN: Final = re.compile(b"\xff\xda\x00")
"""The marker and the first byte of its segment's length, which is 14 at most (ITU-T T.81, B.2.3). A regular expression
finds it in a third of the time that bytes.count takes."""
MOST_SCANS: Final = 100
"""A progressive JPEG has some ten; each one costs a pass over the whole picture, however few its bytes are."""
MOST_FRAMES: Final = 1_000
"""Pages of a TIFF that are counted: the time to walk them grows with their square."""
PNG_DEPTH: Final = 24
"""Where a PNG says how many bits a channel has (its first chunk stands at a fixed place)."""
_NO_SEGMENT: Final = re.compile(rb"\xff\xd8\xff[\xe0-\xef]..(?![A-Za-z]{3})", re.DOTALL)
"""A JPEG's first segment, if it is an application's, begins with its name: what has none is noise, not cut off."""
_PEAK_BYTES: Final = {"WEBP": 16, "AVIF": 9, "HEIF": 7}
"""Bytes a pixel that these decoders hold at their peak, measured with 59 megapixels."""
_NO_MATTER_BYTES: Final = 128 * 1024 * 1024
"""No limit is as low, so that the scans of a picture which takes no more, whatever they are, need not be counted."""
_BAND_PIXELS: Final = 1_000_000
"""So many pixels are brought into RGB at a time: some modes need several copies for it."""
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
"""What makes a picture of each EXIF orientation upright; Pillow's own helper also rewrites the other tags, and fails
over one that is badly made."""
PDF_DPI_LIMIT: Final = 300
_PDF_LOCK = threading.Lock()
"""PDFium is not safe to use from two threads (pypdfium2's README)."""


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What a prepared picture may be."""

    max_pixels: int = 60_000_000
    """Pixels of one page before it is scaled."""
    max_decoded_bytes: int = 384 * 1024 * 1024
    """Memory that decoding one page may take."""
    max_side: int = 2_000
    max_tall_side: int = 8_000
    max_pages: int = 10
    max_bytes: int = 4_400_000
    """Bytes of all pages together."""
    max_sent_pixels: int | None = None
    """Pixels of all pages together, where a model's context sets a limit."""
    jpeg_quality: int = 88

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Return the limits that the settings name."""
        return cls(
            max_pixels=settings.max_pixels,
            max_side=settings.max_side,
            max_tall_side=settings.max_tall_side,
            max_pages=settings.max_pages,
            max_bytes=settings.image_limit,
            max_sent_pixels=settings.max_sent_pixels,
            jpeg_quality=settings.jpeg_quality,
        )


@dataclass(frozen=True)
class Page:
    """One picture to send."""

    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class Prepared:
    """What is sent for one upload."""

    pages: tuple[Page, ...]
    media_type: str
    """What the upload really is."""
    page_count: int
    """How many pages the upload has; more than are sent where it has very many."""
    whole: bool = True
    """Whether everything is sent."""


def prepare(data: bytes, limits: ImageLimits) -> Prepared:
    """Return the pictures to send for the upload `data`, or raise `Rejected` with what is wrong with it."""
    if not data:
        raise Rejected("empty", "the object has no bytes")
    media_type = sniff(data)
    if media_type is None:
        raise Rejected("not_an_image", "the bytes are no JPEG, PNG, TIFF, WebP, GIF, BMP, HEIC, AVIF or PDF")
    if media_type == PDF:
        return _prepare_pdf(data, limits)
    if media_type == "image/png":
        data = bare(data)
    if media_type == "image/jpeg" and len(START_OF_SCAN.findall(data)) > MOST_SCANS:
        raise Rejected("corrupt", f"a JPEG of more than {MOST_SCANS} scans is made to keep its reader busy")
    try:
        return _prepare_image(data, media_type, limits)
    except Rejected:
        raise
    except Exception as error:
        raise _undecodable(error, data) from error


def refuse_undecodable(prepared: Prepared) -> None:
    """Raise `Rejected` where a picture cannot be decoded: of one that was passed on only its header was looked at."""
    for page in prepared.pages:
        try:
            with Image.open(io.BytesIO(page.data), formats=[PILLOW_FORMATS[page.media_type]]) as image:
                image.load()
        except Exception as error:
            raise _undecodable(error, page.data) from error


def _undecodable(error: Exception, data: bytes) -> Rejected:
    """Return the refusal: for bytes that break off or make no sense Pillow's decoders raise anything, even KeyError."""
    ended = "truncat" in str(error).lower() or "end of" in str(error).lower()
    truncated = ended and not _NO_SEGMENT.match(data)
    return Rejected("truncated" if truncated else "corrupt", "the picture cannot be decoded")


def _prepare_image(data: bytes, media_type: str, limits: ImageLimits) -> Prepared:
    try:
        image = Image.open(io.BytesIO(data), formats=[PILLOW_FORMATS[media_type]])
    except UnidentifiedImageError as error:
        raise Rejected("corrupt", "the picture's header makes no sense") from error
    with image:
        _refuse_by_header(image, data, limits)
        if _passes(image, data, media_type, limits):
            page = Page(data, media_type, image.width, image.height)
            return Prepared(pages=(page,), media_type=media_type, page_count=1)
        count = _frames(image) if media_type == "image/tiff" else 1
        upright = []
        for number in range(min(count, limits.max_pages)):
            if number:
                image.seek(number)
                _refuse_by_header(image, data, limits)
            upright += _slices(_upright(image, limits), limits)
    return _encoded(upright, media_type, count, limits)


def _frames(image: Image.Image) -> int:
    """Return how many pages a TIFF has; one with more than `MOST_FRAMES` has that many."""
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


def _refuse_by_header(image: Image.Image, data: bytes, limits: ImageLimits) -> None:
    """Refuse by what the header says, before a pixel is decoded."""
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise Rejected("too_many_pixels", f"{image.width} x {image.height} pixels; {limits.max_pixels} are the limit")
    if min(image.size) < SMALLEST_SIDE:
        raise Rejected("too_small", f"{image.width} x {image.height} pixels hold no text")
    if _decoding_bytes(image, data) > limits.max_decoded_bytes:
        raise Rejected("too_many_pixels", f"{image.width} x {image.height} pixels of this kind need too much memory")


def decoding_bytes(data: bytes) -> int:
    """Return the memory that decoding the first page of the picture `data` takes; 0 for what is none."""
    media_type = sniff(data)
    if media_type not in PILLOW_FORMATS:
        return 0
    data = bare(data) if media_type == "image/png" else data
    try:
        with Image.open(io.BytesIO(data), formats=[PILLOW_FORMATS[media_type]]) as image:
            return _decoding_bytes(image, data)
    except Exception:  # noqa: BLE001 - the decoders raise anything; what is wrong is said where it is decoded
        return 0


def _decoding_bytes(image: Image.Image, data: bytes) -> int:
    """Return the memory that decoding takes, by the header.

    A JPEG is decoded at a fraction of its size, but one of several scans is held whole: two bytes for each sample.
    """
    pixels = image.width * image.height
    if image.format in DRAFTED:
        sampled = [int(across) * int(down) for _, across, down, _ in getattr(image, "layer", [])]
        held = 2 * pixels * sum(sampled) // max(sampled, default=1)
        if held <= _NO_MATTER_BYTES:
            return held
        several = image.info.get("progressive") or len(START_OF_SCAN.findall(data)) > 1
        return held if several else 0
    return pixels * _PEAK_BYTES.get(image.format or "", 1 if image.mode in {"1", "L", "P"} else 4)


def _passes(image: Image.Image, data: bytes, media_type: str, limits: ImageLimits) -> bool:
    """Tell whether the upload is fit to be sent as it is."""
    return (
        media_type in PASSED_ON
        and image.mode in {"RGB", "L"}
        and "transparency" not in image.info
        and len(data) <= limits.max_bytes
        and _fitting_scale(image.size, limits) == 1
        and (limits.max_sent_pixels is None or image.width * image.height <= limits.max_sent_pixels)
        and not (media_type == "image/png" and data[PNG_DEPTH] > 8)
        and not _needs_slicing(image.size, limits)
        and getattr(image, "n_frames", 1) == 1
        and image.getexif().get(EXIF_ORIENTATION, 1) == 1
        and ends_as_it_should(data, media_type)
    )


def _fitting_scale(size: tuple[int, int], limits: ImageLimits) -> float:
    """Return the factor that makes a picture of `size` fit: 1 or less."""
    long, short = max(size), min(size)
    if long / short < TALL:
        return min(1.0, limits.max_side / long)
    narrow = limits.max_side / 2 / short
    return min(1.0, narrow if _needs_slicing(size, limits) else min(narrow, limits.max_tall_side / long))


def _needs_slicing(size: tuple[int, int], limits: ImageLimits) -> bool:
    long, short = max(size), min(size)
    return long / short >= TALL and long > limits.max_tall_side and short * limits.max_tall_side / long < LEGIBLE_WIDTH


def _upright(image: Image.Image, limits: ImageLimits) -> Image.Image:
    """Return the current frame of `image` as an upright, scaled picture in RGB or L."""
    scale = _fitting_scale(image.size, limits)
    goal = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    if image.format in DRAFTED:
        # Decodes at 1/2, 1/4 or 1/8: a box of other proportions than the picture's would do nothing.
        image.draft(None, goal)
    image.load()
    frame = _plain(image, factor=max(1, min(image.width // goal[0], image.height // goal[1])))
    if frame.size != goal:
        frame = frame.resize(goal, Image.Resampling.BICUBIC)
    turn = TURNS.get(orientation)
    return frame.copy() if turn is None else frame.transpose(turn)


def _plain(frame: Image.Image, *, factor: int = 1) -> Image.Image:
    """Return `frame` in RGB or L, `factor` times smaller: 16 bits become 8, what is transparent becomes white paper."""
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
    """Return what is black in 16 or 32 bit grey and how far it is to white, by what is in the picture.

    A plain conversion to 8 bits would clip nearly all to white. Numbers with a fraction go from 0 to 1 where they are
    not more.
    """
    low, high = (float(value) for value in frame.getextrema())  # type: ignore[arg-type]  # one band: a pair of numbers
    if high > 255:
        return low, max(high - low, 1.0)
    return 0.0, 1.0 if frame.mode == "F" and high <= 1 else 255.0


def _eight_bits(band: Image.Image, low: float, span: float) -> Image.Image:
    return band.convert("F").point(lambda value: value * (255 / span) - low * 255 / span).convert("L")


def _slices(picture: Image.Image, limits: ImageLimits) -> list[Image.Image]:
    """Cut a till roll that is too long to be scaled into slices, each cut in the lightest row near its place."""
    if not _needs_slicing(picture.size, limits):
        return [picture]
    if picture.width > picture.height:
        picture = picture.transpose(Image.Transpose.ROTATE_270)
    count = min(math.ceil(picture.height / (picture.width * 4)), limits.max_pages)  # the end has the total
    places = (picture.height * number // count for number in range(1, count))
    cuts = [0, *(_blank_row(picture, place, picture.width // 4) for place in places), picture.height]
    return [picture.crop((0, top, picture.width, bottom)) for top, bottom in pairwise(cuts)]


def _blank_row(picture: Image.Image, place: int, reach: int) -> int:
    band = picture.crop((0, place - reach, picture.width, place + reach)).convert("L")
    rows = band.resize((1, band.height), Image.Resampling.BOX).tobytes()
    return place - reach + max(range(len(rows)), key=rows.__getitem__)


def _encoded(pictures: list[Image.Image], media_type: str, count: int, limits: ImageLimits) -> Prepared:
    whole = count <= limits.max_pages and len(pictures) <= limits.max_pages
    pictures = pictures[: limits.max_pages]
    share = limits.max_bytes // len(pictures)
    if limits.max_sent_pixels is not None:
        pictures = _within(pictures, limits.max_sent_pixels)
    pages = tuple(_jpeg(picture, share, limits.jpeg_quality) for picture in pictures)
    return Prepared(pages=pages, media_type=media_type, page_count=count, whole=whole)


def _within(pictures: list[Image.Image], most_pixels: int) -> list[Image.Image]:
    """Scale the pictures alike, so that together they have at most so many pixels."""
    factor = math.sqrt(most_pixels / sum(picture.width * picture.height for picture in pictures))
    if factor >= 1:
        return pictures
    goals = [(max(1, int(picture.width * factor)), max(1, int(picture.height * factor))) for picture in pictures]
    return [picture.resize(goal, Image.Resampling.LANCZOS) for picture, goal in zip(pictures, goals, strict=True)]


def _jpeg(picture: Image.Image, most: int, quality: int) -> Page:
    """Return `picture` as a JPEG of at most `most` bytes: of less quality, then of fewer pixels where it must be."""
    while True:
        for tried in (quality, min(quality, 75), min(quality, 60)):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=tried)
            if buffer.tell() <= most:
                return Page(buffer.getvalue(), "image/jpeg", picture.width, picture.height)
        if max(picture.size) < LEGIBLE_WIDTH:
            raise Rejected("too_large", "the pages cannot be made to fit the endpoint's limit")
        smaller = (max(1, picture.width * 7 // 10), max(1, picture.height * 7 // 10))
        picture = picture.resize(smaller, Image.Resampling.BICUBIC)


def _prepare_pdf(data: bytes, limits: ImageLimits) -> Prepared:
    with _PDF_LOCK:
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
                pictures += _slices(_pdf_page(document, number, limits), limits)
        finally:
            document.close()
    return _encoded(pictures, PDF, count, limits)


def _pdf_page(document: pypdfium2.PdfDocument, number: int, limits: ImageLimits) -> Image.Image:
    try:
        page = document[number]
        width, height = (max(side, 1.0) for side in page.get_size())
        # A page says its size in points of 1/72 inch; some generators write nonsense there, so pixels are capped.
        scale = PDF_DPI_LIMIT / 72
        scale *= _fitting_scale((math.ceil(width * scale), math.ceil(height * scale)), limits)
        scale = min(scale, math.sqrt(limits.max_pixels / (width * height)))
        picture: Image.Image = page.render(scale=scale).to_pil()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise Rejected("corrupt", "a page of the PDF cannot be drawn") from error
    if min(picture.size) < SMALLEST_SIDE:
        raise Rejected("too_small", "a page of the PDF holds no text")
    return _plain(picture)
