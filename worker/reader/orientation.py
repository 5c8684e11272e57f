"""Orientation: determines from the pixels which way up a page is.

A small network classifies the whole page. It is rarely wrong, but its result is only a guess, which the lines of text
must confirm. Upright lines are wider than high, and read with more confidence than the same lines upside down.
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
"""If the mean score of the lines is lower, they are also read upside down."""


class Orientation:
    """The orientation network. Use one instance per process."""

    def __init__(self, *, threads: int) -> None:
        self._network = session(ORIENTATION, threads=threads)
        self._input = self._network.get_inputs()[0].name

    def quarters(self, page: Pixels) -> int:
        """Return the number of counter-clockwise quarter turns that make the page upright (0 to 3)."""
        height, width = page.shape[:2]
        share = _SHORT_SIDE / min(height, width)
        size = (max(_WINDOW, round(width * share)), max(_WINDOW, round(height * share)))
        small = cv2.resize(page, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)
        top, left = (size[1] - _WINDOW) // 2, (size[0] - _WINDOW) // 2
        window = small[top : top + _WINDOW, left : left + _WINDOW].astype(np.float32) / 255
        (chances,) = self._network.run(None, {self._input: ((window - _MEAN) / _SPREAD).transpose(2, 0, 1)[None]})
        return int(chances[0].argmax())


def sideways(places: Sequence[Corners]) -> bool:
    """Return whether most of the text, by length, runs up or down the page."""
    tall = wide = 0.0
    for place in places:
        along, across = np.linalg.norm(place[0] - place[1]), np.linalg.norm(place[0] - place[3])
        tall += float(across) if across > 2 * along else 0
        wide += float(along) if along > 2 * across else 0
    return tall > wide
