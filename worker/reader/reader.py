"""The reader: pictures of one receipt in, a `Reading` out. Each process holds one set of networks."""

import datetime as dt
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from worker.reader import fields
from worker.reader.page import PageReader
from worker.reader.picture import decode
from worker.receipts.receipt import Reading

if TYPE_CHECKING:
    from worker.reader.ocr import Line

MOST_LINES: Final = 600
"""Most lines that are read of one receipt: 40 take a second, and twelve metres of paper have 3,000."""


@cache
def load(*, threads: int = 1) -> PageReader:
    """Return the networks of this process, which run with `threads` threads. They are loaded on the first call only."""
    return PageReader(threads=threads)


def warm_up(*, threads: int = 1) -> None:
    """Run the networks once, so that the first receipt does not wait for memory allocation."""
    bar = np.full((64, 320, 3), 255, np.uint8)
    bar[24:40, 20:300] = 0
    load(threads=threads).read(bar, most=MOST_LINES)


def read(*pages: bytes, threads: int = 1) -> Reading:
    """Return the reading of the receipt on `pages` (encoded pictures, in order). Raises `BadPictureError`.

    The middle lines of a very long receipt are left out, so that the answer is ready within SageMaker's 60 seconds. The
    reading then has `items` in `left_out`.
    """
    reader = load(threads=threads)
    lines: dict[int, list[Line]] = {}
    left = MOST_LINES
    for number in sorted(range(len(pages)), key=lambda number: (number not in {0, len(pages) - 1}, number)):
        page = decode(pages[number])  # a broken page is an error even if its lines would not be read
        lines[number] = reader.read(page, most=left) if left > 0 else []
        left -= len(lines[number])
    reading = fields.extract([lines[number] for number in range(len(pages))], today=dt.datetime.now(dt.UTC).date())
    return reading if left > 0 else reading.model_copy(update={"left_out": ("items",)})
