"""Pages: reads the lines of text in one picture, the right way up."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from worker.reader.ocr import Corners, Line, Ocr
from worker.reader.orientation import UPRIGHT_SCORE, Orientation, sideways
from worker.reader.picture import Pixels, turn

_SAMPLE: Final = 8


class PageReader:
    """A reader of pages. Use one instance per process: it holds the networks."""

    def __init__(self, *, threads: int) -> None:
        self._ocr = Ocr(threads=threads)
        self._orientation = Orientation(threads=threads)

    def read(self, page: Pixels, *, most: int) -> list[Line]:
        """Return the lines of text on the page, unordered, with corners on the upright page.

        If there are more than `most` lines, those in the middle are left out: the head has the shop, the foot the sums.
        """
        page = turn(page, self._orientation.quarters(page))
        places = self._ocr.find(page)
        if sideways(places):
            page = turn(page, 1)
            places = self._ocr.find(page)
        if not places:
            return []
        if self._upside_down(page, places):
            page, places = turn(page, 2), [_turned(place, page) for place in places]
        return self._ocr.read(page, head_and_foot(places, most))

    def _upside_down(self, page: Pixels, places: list[Corners]) -> bool:
        """Return whether the longest lines, if they read badly, read better upside down."""
        longest = sorted(places, key=lambda place: float(np.linalg.norm(place[0] - place[1])))[-_SAMPLE:]
        upright = self._score(page, longest)
        if upright >= UPRIGHT_SCORE:
            return False
        return self._score(turn(page, 2), [_turned(place, page) for place in longest]) > upright + 0.05

    def _score(self, page: Pixels, places: list[Corners]) -> float:
        return float(np.mean([line.score for line in self._ocr.read(page, places)]))


def head_and_foot(places: Sequence[Corners], most: int) -> list[Corners]:
    """Return at most `most` places: a third of them from the top, two thirds from the bottom."""
    if len(places) <= most:
        return list(places)
    downwards = sorted(places, key=lambda place: float(place[:, 1].mean()))
    return [*downwards[: most // 3], *downwards[len(places) - (most - most // 3) :]]


def _turned(place: Corners, page: Pixels) -> Corners:
    """Return the corners of a place after the page is turned by 180 degrees."""
    height, width = page.shape[:2]
    return np.array([width - 1, height - 1], np.float32) - place[[2, 3, 0, 1]]
