"""Layout: gathers lines of text into rows, on a page that may be tilted, curved or seen at an angle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from worker.reader.ocr import Line

_ALONG: Final = 3.0
"""Lines with at least this ratio of width to height are used to measure the slope of the page."""
_WILD, _ENOUGH = 0.2, 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A line of text on a straightened page, in pixels; `y` is its vertical middle."""

    text: str
    score: float
    left: float
    right: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        """The horizontal middle of the piece."""
        return (self.left + self.right) / 2


@dataclass(frozen=True, slots=True)
class Row:
    """Pieces side by side, from left to right."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The row as one text, with two blanks between pieces."""
        return "  ".join(piece.text for piece in self.pieces)

    @property
    def y(self) -> float:
        """The vertical middle of the row."""
        return float(np.mean([piece.y for piece in self.pieces]))

    @property
    def height(self) -> float:
        """The height of the tallest piece."""
        return max(piece.height for piece in self.pieces)

    @property
    def left(self) -> float:
        """The left side of the first piece."""
        return self.pieces[0].left

    @property
    def right(self) -> float:
        """The right side of the piece that ends last."""
        return max(piece.right for piece in self.pieces)

    @property
    def score(self) -> float:
        """The OCR confidence of the row's least certain piece (0 to 1)."""
        return min(piece.score for piece in self.pieces)


def straighten(lines: Sequence[Line]) -> list[Piece]:
    """Return the lines on a straightened page: rotation by a few degrees, perspective and curl are removed."""
    if not lines:
        return []
    corners = np.array([line.corners for line in lines], dtype=np.float64)
    middle = corners.mean(axis=1)
    along = (corners[:, 1] + corners[:, 2] - corners[:, 0] - corners[:, 3]) / 2
    across = (corners[:, 3] + corners[:, 2] - corners[:, 0] - corners[:, 1]) / 2
    width, height = np.linalg.norm(along, axis=1), np.linalg.norm(across, axis=1)
    slope = _Slope.of(middle, along, width, height)
    return [
        Piece(
            text=line.text,
            score=line.score,
            left=slope.across(*middle[index]) - float(width[index]) / 2,
            right=slope.across(*middle[index]) + float(width[index]) / 2,
            y=slope.level(*middle[index]),
            height=float(height[index]),
        )
        for index, line in enumerate(lines)
    ]


@dataclass(frozen=True, slots=True)
class _Slope:
    """The slope of the text as a function of the place: a constant plus terms that grow along and across the page.

    It is fitted to the slopes of the long lines. The level of a place is the height at which its row crosses the middle
    of the page.
    """

    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    factors: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        middle: NDArray[np.float64],
        along: NDArray[np.float64],
        width: NDArray[np.float64],
        height: NDArray[np.float64],
    ) -> Self:
        """Return the slope fitted to the lines' middles, directions, widths and heights."""
        centre = (middle.min(axis=0) + middle.max(axis=0)) / 2
        half = np.maximum(np.ptp(middle, axis=0) / 2, 1.0)
        factors = np.zeros(4)
        long = width > _ALONG * height
        if long.any():
            slopes, weights = along[long, 1] / np.maximum(along[long, 0], 1.0), width[long] / height[long]
            factors[0] = _weighted_median(slopes, weights)
            near = np.abs(slopes - factors[0]) < _WILD
            if near.sum() >= _ENOUGH:
                factors = _fit(((middle[long] - centre) / half)[near], slopes[near], weights[near])
        return cls(centre, half, factors)

    def level(self, x: float, y: float) -> float:
        """Return the height at which the row through a place crosses the middle of the page."""
        across, down = (np.array([x, y]) - self.centre) / self.half
        plain, by_x, by_y, by_both = self.factors
        rise = (plain + by_y * down) * across + (by_x + by_both * down) * across**2 / 2
        return float(y - rise * self.half[0])

    def across(self, x: float, y: float) -> float:
        """Return the horizontal position of a place on the upright page: rotation also shifts it sideways."""
        return float(x + self.factors[0] * (y - self.centre[1]))


def _fit(places: NDArray[np.float64], slopes: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factors of a regularized least-squares fit of slopes over places, the second pass without outliers."""
    terms = np.column_stack([np.ones(len(places)), places, places[:, 0] * places[:, 1]])
    penalty = np.diag([0.0, 1.0, 1.0, 2.0]) * 0.05 * weights.sum()
    kept = np.ones(len(slopes), dtype=bool)
    factors = np.zeros(4)
    for _ in range(2):
        weighted = terms[kept] * weights[kept, None]
        factors = np.linalg.solve(weighted.T @ terms[kept] + penalty, weighted.T @ slopes[kept])
        off = np.abs(slopes - terms @ factors)
        kept = off <= max(2.5 * float(np.median(off)), 0.01)
    return factors


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def rows(pieces: Iterable[Piece]) -> list[Row]:
    """Return the pieces gathered into rows, from top to bottom.

    From left to right, each piece joins the row whose last piece is level with it. Only the nearest piece is compared,
    so that a row may climb slowly on curved paper.
    """
    open_rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.left):
        best, best_gap = None, 0.5
        for row in open_rows:
            last = row[-1]
            overlap = last.right - piece.left
            if overlap > 0.5 * min(piece.right - piece.left, last.right - last.left):
                continue
            gap = abs(last.y - piece.y) / min(max(last.height, piece.height), 1.6 * min(last.height, piece.height))
            if gap < best_gap:
                best, best_gap = row, gap
        if best is None:
            open_rows.append([piece])
        else:
            best.append(piece)
    return sorted((Row(tuple(row)) for row in open_rows), key=lambda row: row.y)
