"""The pages of an upload as they are sent, and the limits that they must meet."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from worker.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """Limits on the pages that are sent, and on the work of making them."""

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
    """Pixels of all pages together. Set it if the model's context requires a limit."""
    jpeg_quality: int = 88

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Return the limits from the settings."""
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
    """One encoded picture; width and height are in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class Prepared:
    """The pages to send for one upload."""

    pages: tuple[Page, ...]
    media_type: str
    """The media type of the upload, by its bytes."""
    page_count: int
    """Number of pages of the upload; can be more than are sent."""
    whole: bool = True
    """True if all pages are sent."""
