import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.page import typed
from worker.reader.layout import rows, straighten
from worker.reader.ocr import Line

TILL = """
CORNER SHOP LIMITED
12 Mill Lane, Leeds LS1 4AB
Wholemeal bread sliced        2.50
Mature cheddar cheese         9.84
Free range eggs dozen         3.10
Semi skimmed milk two pints   1.45
Orange marmalade with peel    2.15
SUBTOTAL OF ALL GOODS        19.04
TOTAL TO PAY IN POUNDS       19.04
"""


def read(lines: list[Line]) -> list[str]:
    return [row.text for row in rows(straighten(lines))]


@given(st.floats(-8, 8), st.floats(-1.0, 1.0))
def test_rows_stay_together_on_a_tilted_or_curled_page(degrees: float, curl: float) -> None:
    """A page that is turned by a few degrees or curled has the same rows as the straight page."""
    angle, middle = math.radians(degrees), np.array([180.0, 130.0])
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    bent = []
    for line in typed(TILL):
        corners = line.corners.astype(np.float64)
        corners[:, 1] -= 30 * curl * (corners[:, 0] / 360) ** 2
        bent.append(Line(line.text, line.score, ((corners - middle) @ turn + middle).astype(np.float32)))
    assert read(bent) == read(typed(TILL))


def test_a_blank_page_has_no_rows() -> None:
    """A blank page has no rows."""
    assert read([]) == []
