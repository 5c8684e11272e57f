"""Typed receipts: lines of text in the form that OCR returns them, without a picture."""

import numpy as np

from worker.reader.ocr import Line

WIDTH, HEIGHT = 10, 20
"""Width of a character and height of a line with its gap, in pixels."""


def typed(text: str, *, score: float = 0.99, heights: dict[int, float] | None = None) -> list[Line]:
    """Return the lines of `text`. Two or more blanks separate pieces; `heights` gives heights by row number."""
    lines = []
    for number, row in enumerate(text.strip("\n").splitlines()):
        start = 0
        for part in row.split("  "):
            words = part.strip()
            if words:
                left = (start + part.index(words)) * WIDTH
                lines.append(
                    line(words, left, number * 1.6 * HEIGHT, score=score, height=(heights or {}).get(number, HEIGHT))
                )
            start += len(part) + 2
    return lines


def line(text: str, left: float, top: float, *, score: float = 0.99, height: float = HEIGHT) -> Line:
    """Return one line of text at a position in pixels."""
    right, bottom = left + WIDTH * len(text), top + height
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    return Line(text, score, corners)
