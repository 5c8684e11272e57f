"""A till roll on paper: lines of text drawn in dots, like a receipt printer.

A thermal print head has 8 dots per millimetre, and a normal letter is 12 dots wide and 24 high. The text is drawn in
black dots, then enlarged as a scanner sees it: with soft edges, uneven ink and grainy paper.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias
from zlib import crc32

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Anchor: TypeAlias = Literal["l", "m", "r"]
Colour: TypeAlias = tuple[int, int, int]

LETTER_DOTS = 12
"""Width of one column, dots."""
LINE_DOTS = 30
"""Height of a line of normal letters, dots."""
FONT_PX = 24
"""Height of a letter. DejaVu Sans Mono is wider than 12 dots at this size, so the drawing is compressed."""
MARGIN_COLUMNS = 2.5
"""Blank margin on each side."""

FACES = {"mono": "DejaVuSansMono", "sans": "DejaVuSans", "serif": "DejaVuSerif"}
"""The typefaces, which come with matplotlib."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text, anchored at a column by its left end, middle or right end."""

    column: float
    text: str
    anchor: Anchor = "l"


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line: its cells, the bars of a bar code, or a stroke from edge to edge."""

    cells: tuple[Cell, ...] = ()
    size: float = 1.0
    """Height of the letters; 1 is normal."""
    bold: bool = False
    face: str | None = None
    """A typeface of FACES; None uses the roll's."""
    bars: str = ""
    stroke: bool = False

    @property
    def dots(self) -> int:
        """Height of the line, dots."""
        return 84 if self.bars else round(LINE_DOTS * self.size)


@dataclass(frozen=True, slots=True)
class Roll:
    """The printed lines, and the look of printer and paper."""

    lines: tuple[Line, ...]
    columns: int
    face: str = "mono"
    scale: float = 1.25
    """Pixels per dot in the finished picture."""
    thermal: bool = True
    """Whether dots are only black or white; otherwise edges are smooth, as from a laser printer or on a screen."""
    ink: Colour = (48, 46, 54)
    paper: Colour = (246, 245, 241)
    grain: float = 1.6
    """Standard deviation of the paper's grain, grey levels; 0 for a picture that was never on paper."""


@cache
def font(face: str, size_px: float, *, bold: bool) -> ImageFont.FreeTypeFont:
    """Return a typeface of FACES at a size."""
    name = FACES[face] + ("-Bold" if bold else "") + ".ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size_px)


def clouds(rng: np.random.Generator, width: int, height: int, *, cell_px: int) -> NDArray[np.float64]:
    """Return smooth noise in [0, 1] with patches about `cell_px` wide, shape height x width."""
    coarse = rng.random((height // cell_px + 2, width // cell_px + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)


def draw(roll: Roll, rng: np.random.Generator) -> Image.Image:
    """Return an RGB picture of the printed roll, seen flat."""
    dots = _dots(roll)
    size = (round(dots.width * roll.scale), round(dots.height * roll.scale))
    ink = (
        np.asarray(dots.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(0.5)), np.float64) / 255
    )
    width, height = size
    shade = np.zeros((height, width, 1))
    if roll.grain:
        ink = ink * (0.86 + 0.14 * clouds(rng, width, height, cell_px=24)) * (1 - 0.05 * rng.random((1, width)))
        shade[:, :, 0] = 6 * clouds(rng, width, height, cell_px=220) - 3 + rng.normal(0, roll.grain, (height, width))
    paper, black = np.array(roll.paper, np.float64), np.array(roll.ink, np.float64)
    picture = (paper + shade) * (1 - ink[:, :, None]) + black * ink[:, :, None]
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def _dots(roll: Roll) -> Image.Image:
    """Return the ink, one pixel per dot: 255 where there is ink, else 0."""
    column_px = font("mono", FONT_PX, bold=False).getlength("0")
    width_px = (roll.columns + 2 * MARGIN_COLUMNS) * column_px
    canvas = Image.new("L", (round(width_px), sum(line.dots for line in roll.lines) + 4 * LINE_DOTS), 0)
    pen = ImageDraw.Draw(canvas)
    top = 2 * LINE_DOTS
    for line in roll.lines:
        if line.bars:
            _bars(pen, line.bars, middle_px=width_px / 2, top_px=top)
        if line.stroke:
            left, y = MARGIN_COLUMNS * column_px, top + line.dots / 2
            pen.line((left, y, width_px - left, y), fill=255, width=2)
        letters = font(line.face or roll.face, FONT_PX * line.size, bold=line.bold)
        for cell in line.cells:
            x = (MARGIN_COLUMNS + cell.column) * column_px
            pen.text((x, top + line.dots * 0.78), cell.text, fill=255, font=letters, anchor=cell.anchor + "s")
        top += line.dots
    canvas = canvas.resize((round(canvas.width * LETTER_DOTS / column_px), canvas.height), Image.Resampling.LANCZOS)
    return canvas.point([0] * 110 + [255] * 146) if roll.thermal else canvas


def _bars(pen: ImageDraw.ImageDraw, code: str, *, middle_px: float, top_px: int) -> None:
    """Draw an imitation of a bar code. Its bars depend on the code, but no scanner can read them."""
    rng = np.random.default_rng(crc32(code.encode()))
    widths = rng.integers(1, 4, size=len(code) * 6) * 2.5
    x = middle_px - widths.sum() / 2
    for number, width in enumerate(widths):
        if number % 2 == 0:
            pen.rectangle((x, top_px + 8, x + width - 1, top_px + 76), fill=255)
        x += width
