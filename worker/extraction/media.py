"""Media types, recognised by the bytes themselves: the name and content type of an upload can be wrong."""

from typing import Final

PDF: Final = "application/pdf"

_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"BM", "image/bmp"),
)
_PNG_METADATA: Final = {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}
"""PNG chunks with text and colour profiles."""
_HEIF_BRANDS: Final = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS: Final = {b"avif", b"avis"}

PILLOW_FORMATS: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/webp": "WEBP",
    "image/heic": "HEIF",
    "image/avif": "AVIF",
}
"""The only Pillow decoder that may open bytes of each type."""


def sniff(data: bytes) -> str | None:
    """Return the media type of `data`, or None if the type is not supported."""
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    # PDF readers accept up to 1,024 arbitrary bytes before the header (ISO 32000-1, annex H.3, note 13).
    if b"%PDF-" in data[:1024]:
        return PDF
    return None


def _iso_media(data: bytes) -> str | None:
    """Return the type of a HEIC or AVIF file by all its brands: the major one can be the generic `mif1`."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12]} | {data[at : at + 4] for at in range(16, size, 4)}
    if brands & _AVIF_BRANDS:
        return "image/avif"
    return "image/heic" if brands & _HEIF_BRANDS else None


def is_complete(data: bytes, media_type: str) -> bool:
    """Return whether a JPEG or PNG has its end marker. It detects truncation without decoding."""
    if media_type == "image/jpeg":
        return data.rstrip(b"\0\r\n ").endswith(b"\xff\xd9")
    return media_type == "image/png" and b"IEND" in data[-64:]


def without_metadata(png: bytes) -> bytes:
    """Return a PNG without text and colour profiles: Pillow refuses the megabytes that some programs store there."""
    if not any(kind in png for kind in _PNG_METADATA):
        return png
    kept, at = [png[:8]], 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")  # a chunk: its length, its kind, its data, a checksum
        if png[at + 4 : at + 8] not in _PNG_METADATA:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)
