"""Pages: the lines of text on one picture, read the right way up."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from worker.reader.ocr import Corners, Line, Ocr
from worker.reader.orientation import UPRIGHT_SCORE, Orientation, sideways
from worker.reader.picture import Pixels, turn

_SAMPLE: Final = 8


class PageReader:
    """Reads pages; one instance a process, since it holds the networks."""

    def __init__(self, *, threads: int) -> None:
        self._ocr = Ocr(threads=threads)
        self._orientation = Orientation(threads=threads)

    def read(self, page: Pixels, *, most: int) -> list[Line]:
        """Give the lines of text on the page, in no order, with corners on the page as turned upright.

        Of more than `most` lines those in the middle are left out: the head names the shop, the foot the sums.
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
        """Read the longest lines; where they read badly, read them upside down too and compare."""
        longest = sorted(places, key=lambda place: float(np.linalg.norm(place[0] - place[1])))[-_SAMPLE:]
        upright = self._score(page, longest)
        if upright >= UPRIGHT_SCORE:
            return False
        return self._score(turn(page, 2), [_turned(place, page) for place in longest]) > upright + 0.05

    def _score(self, page: Pixels, places: list[Corners]) -> float:
        return float(np.mean([line.score for line in self._ocr.read(page, places)]))


def head_and_foot(places: Sequence[Corners], most: int) -> list[Corners]:
    """Give at most `most` places: the upper third and the lower two thirds of what there is room for."""
    if len(places) <= most:
        return list(places)
    downwards = sorted(places, key=lambda place: float(place[:, 1].mean()))
    return [*downwards[: most // 3], *downwards[len(places) - (most - most // 3) :]]


def _turned(place: Corners, page: Pixels) -> Corners:
    """Give the corners of a place after the page is turned by 180 degrees."""
    height, width = page.shape[:2]
    return np.array([width - 1, height - 1], np.float32) - place[[2, 3, 0, 1]]
