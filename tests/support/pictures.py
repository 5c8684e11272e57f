"""Small, valid pictures for tests, each different from all others."""

import io

from PIL import Image


def picture(number: int, *, size: tuple[int, int] = (64, 64), kind: str = "JPEG") -> bytes:
    """Return a picture that is unique to `number`."""
    image = Image.new("RGB", size, "white")
    for bit in range(24):
        if number >> bit & 1:
            image.paste((0, 0, 0), (8 * (bit % 6), 12 * (bit // 6), 8 * (bit % 6) + 8, 12 * (bit // 6) + 12))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def broken_jpeg() -> bytes:
    """Return a JPEG with an invalid first Huffman table. Its header and its end are valid."""
    whole = picture(1)
    lengths = whole.index(b"\xff\xc4") + 5
    return whole[:lengths] + b"\xff" * 16 + whole[lengths + 16 :]
