"""The guardian ends what is left."""

import pytest

from worker.workbench.local import guardian


@pytest.mark.parametrize(
    ("lines", "expected"),
    [([], []), (["+1\n", "+2\n", "+3\n"], [3, 2, 1]), (["+1\n", "+2\n", "-2\n", "-7\n"], [1])],
)
def test_what_started_and_did_not_end_is_left(lines: list[str], expected: list[int]) -> None:
    """The last started comes first; what ended, or never started, is not touched."""
    assert guardian.survivors(lines) == expected
