"""Orientation: which way up a page is, when nothing but its pixels says so.

A small network looks at the page as a whole. It is seldom wrong, and what it says is only a guess that the lines of
text confirm: upright lines are wider than high, and they read with more certainty than the same lines upside down.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from worker.reader.ocr import Corners
from worker.reader.picture import Pixels
from worker.reader.weights import ORIENTATION, session

_SHORT_SIDE, _WINDOW = 256, 224
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_SPREAD: Final = np.array([0.229, 0.224, 0.225], np.float32)

UPRIGHT_SCORE: Final = 0.9
"""Lines that read with less certainty than this, on average, are tried upside down too."""


class Orientation:
    """Guesses how far a page is turned; one instance a process."""

    def __init__(self, *, threads: int) -> None:
        self._network = session(ORIENTATION, threads=threads)
        self._input = self._network.get_inputs()[0].name

    def quarters(self, page: Pixels) -> int:
        """Give by how many quarter turns counter-clockwise the page gets upright (0 to 3)."""
        height, width = page.shape[:2]
        share = _SHORT_SIDE / min(height, width)
        size = (max(_WINDOW, round(width * share)), max(_WINDOW, round(height * share)))
        small = cv2.resize(page, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)
        top, left = (size[1] - _WINDOW) // 2, (size[0] - _WINDOW) // 2
        window = small[top : top + _WINDOW, left : left + _WINDOW].astype(np.float32) / 255
        (chances,) = self._network.run(None, {self._input: ((window - _MEAN) / _SPREAD).transpose(2, 0, 1)[None]})
        return int(chances[0].argmax())


def sideways(places: Sequence[Corners]) -> bool:
    """Say whether most of the text, by length, runs up or down the page."""
    tall = wide = 0.0
    for place in places:
        along, across = np.linalg.norm(place[0] - place[1]), np.linalg.norm(place[0] - place[3])
        tall += float(across) if across > 2 * along else 0
        wide += float(along) if along > 2 * across else 0
    return tall > wide
