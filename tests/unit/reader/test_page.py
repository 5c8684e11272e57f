import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.reader.page import head_and_foot

heights = st.lists(st.integers(0, 10_000), unique=True, max_size=60)


@given(heights, st.integers(1, 40))
def test_head_and_foot_of_too_many_lines_are_kept(tops: list[int], most: int) -> None:
    """At most `most` lines are kept, always with the last and, from three on, with the first."""
    places = [np.full((4, 2), top, dtype=np.float32) for top in tops]
    kept = [int(place[0, 1]) for place in head_and_foot(places, most)]
    assert len(kept) == min(len(tops), most)
    if tops:
        assert max(tops) in kept
        assert min(tops) in kept or most < 3
