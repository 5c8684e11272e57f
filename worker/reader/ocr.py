"""OCR: finds lines of text on a page and reads them (PP-OCRv6 small, detection and recognition).

The pipeline is PaddleOCR's, with two differences that save time. A line is padded to the width of its batch, not to 320
pixels. A page is searched at a bounded size, but its text is read from the original pixels. Together they make it about
three times cheaper than the stock pipeline at the same accuracy (docs/models.md has the figures).
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from worker.reader.picture import Pixels
from worker.reader.weights import DETECTION, RECOGNITION, session

Corners = MatLike
"""4 x 2: top left, top right, bottom right, bottom left, in pixels."""

SEARCH_PIXELS: Final = 1_150_000
"""Pixels to which a page, or a band of a long page, is scaled for the search for lines."""

LONG: Final = 4.5
"""A page with a larger ratio of height to width is a till roll, and is searched band by band."""

BAND: Final = 2.5
"""The length of a band, in widths of the roll. Adjacent bands share a tenth of it."""

MIN_SCORE: Final = 0.5
"""Lowest score of a line that is kept. A line with a lower one is a picture, a bar code or dirt."""

_INK, _BOX_SCORE, _GROW = 0.3, 0.5, 1.6
_MAX_BOXES = 600
_HEIGHT, _MAX_WIDTH, _STEP = 48, 2_400, 32
_BATCH_WIDTH = 2_560


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text with the network's confidence (0 to 1) and its corners."""

    text: str
    score: float
    corners: Corners


class Ocr:
    """The detection and recognition networks. Use one instance per process: each holds the weights in memory."""

    def __init__(self, *, threads: int) -> None:
        self._detection = session(DETECTION, threads=threads)
        self._recognition = session(RECOGNITION, threads=threads)
        characters = self._recognition.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = np.array(["", *characters, " "])

    def find(self, page: Pixels) -> list[Corners]:
        """Return the corners of every line of text on the page."""
        height, width = page.shape[:2]
        if height <= LONG * width:
            return self._find(page)
        found: list[Corners] = []
        length = round(BAND * width)
        for top in range(0, height - length // 10, length - length // 10):
            shift = np.array([0, top], dtype=np.float32)
            found += [
                place + shift
                for place in self._find(page[top : top + length])
                if not _is_cut(place, top, length, height)
                and not any(_same_place(place + shift, known) for known in found)
            ]
        return found

    def _find(self, page: Pixels) -> list[Corners]:
        height, width = page.shape[:2]
        share = min((SEARCH_PIXELS / (height * width)) ** 0.5, 2.0)
        size = tuple(max(_STEP, round(side * share / _STEP) * _STEP) for side in (width, height))
        scaled = cv2.resize(page, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)
        (ink,) = self._detection.run(None, {"x": _network_input(scaled)[None]})
        boxes = _boxes(ink[0, 0])
        ratio = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return [(box * ratio).clip(0, [width - 1, height - 1]).astype(np.float32) for box in boxes]

    def read(self, page: Pixels, places: list[Corners]) -> list[Line]:
        """Return the line of text at each place, in the given order."""
        crops = [_crop(page, place) for place in places]
        found = [("", 0.0)] * len(crops)
        for batch in _batches([crop.shape[1] for crop in crops]):
            width = -(-max(crops[index].shape[1] for index in batch) // _STEP) * _STEP
            block = np.zeros((len(batch), 3, _HEIGHT, width), dtype=np.float32)
            for row, index in enumerate(batch):
                block[row, :, :, : crops[index].shape[1]] = _network_input(crops[index])
            (chances,) = self._recognition.run(None, {"x": block})
            for row, index in enumerate(batch):
                found[index] = self._decode(chances[row])
        return [Line(text, score, place) for (text, score), place in zip(found, places, strict=True)]

    def _decode(self, chances: NDArray[np.float32]) -> tuple[str, float]:
        """Return text and confidence of one line's probabilities (time x character).

        The CTC rule applies: repeated characters are merged, then blanks are dropped.
        """
        best = chances.argmax(axis=1)
        kept = (best != 0) & np.insert(best[1:] != best[:-1], 0, values=True)
        if not kept.any():
            return "", 0.0
        sure = chances[np.arange(len(best)), best][kept]
        return "".join(self._characters[best[kept]]).strip(), float(sure.mean())


def _is_cut(place: Corners, top: int, length: int, height: int) -> bool:
    """Return whether a line touches an edge between two bands. The adjacent band has it whole."""
    upper, lower = place[:, 1].min(), place[:, 1].max()
    return (upper <= 1 and top > 0) or (lower >= length - 2 and top + length < height)


def _same_place(one: Corners, other: Corners) -> bool:
    """Return whether two boxes are the same line: level with each other and mostly overlapping."""
    if abs(float(one[:, 1].mean() - other[:, 1].mean())) > 0.4 * float(np.ptp(one[:, 1])):
        return False
    left, right = max(one[:, 0].min(), other[:, 0].min()), min(one[:, 0].max(), other[:, 0].max())
    return float(right - left) > 0.5 * min(float(np.ptp(one[:, 0])), float(np.ptp(other[:, 0])))


def _network_input(pixels: Pixels) -> NDArray[np.float32]:
    """Return pixels as the networks were trained: channels first, BGR, -1 to 1."""
    return (pixels[:, :, ::-1].astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)


def _boxes(ink: MatLike) -> list[Corners]:
    """Return the corners of lines from the probability map (the post-processing of differentiable binarization)."""
    mask = cv2.dilate((ink > _INK).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:_MAX_BOXES]:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < 3:
            continue
        tight = cv2.boxPoints((centre, (width, height), angle))
        if _mean_inside(ink, tight) < _BOX_SCORE:
            continue
        margin = width * height * _GROW / (2 * (width + height))
        grown = cv2.boxPoints((centre, (width + 2 * margin, height + 2 * margin), angle))
        boxes.append(_ordered(grown))
    return boxes


def _mean_inside(ink: MatLike, box: Corners) -> float:
    left, top = np.floor(box.min(axis=0)).astype(int).clip(0)
    right, bottom = np.ceil(box.max(axis=0)).astype(int) + 1
    part = ink[top:bottom, left:right]
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(box - [left, top]).astype(np.int32), 1)
    return float(cv2.mean(part, inside)[0])


def _ordered(box: Corners) -> Corners:
    """Return the corners clockwise from the top left, for text tilted by less than 45 degrees."""
    by_x = box[np.argsort(box[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1])]
    top_right, bottom_right = right[np.argsort(right[:, 1])]
    return np.array([top_left, top_right, bottom_right, bottom_left], dtype=np.float32)


def _crop(page: Pixels, place: Corners) -> Pixels:
    """Return a straightened line, scaled to the height that the network reads."""
    top, right, bottom, left = (float(np.linalg.norm(place[side] - place[side - 3])) for side in range(4))
    along, across = max(top, bottom, 1.0), max(left, right, 1.0)
    size = (max(1, int(along)), max(1, int(across)))
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], dtype=np.float32)
    straight = cv2.warpPerspective(
        page, cv2.getPerspectiveTransform(place, corners), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    width = min(_MAX_WIDTH, max(8, round(_HEIGHT * along / across)))
    method = cv2.INTER_AREA if size[1] > 1.5 * _HEIGHT else cv2.INTER_LINEAR
    return cv2.resize(straight, (width, _HEIGHT), interpolation=method)


def _batches(widths: list[int]) -> list[list[int]]:
    """Return batches of lines of similar width, so that little is padded and the memory of a batch is bounded."""
    batches: list[list[int]] = []
    for index in sorted(range(len(widths)), key=widths.__getitem__):
        if (
            batches
            and widths[index] <= 1.25 * widths[batches[-1][0]] + _STEP
            and sum(widths[other] for other in batches[-1]) + widths[index] <= _BATCH_WIDTH
        ):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
