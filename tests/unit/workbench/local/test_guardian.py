"""The guardian ends the remaining processes."""

import pytest

from worker.workbench.local import guardian


@pytest.mark.parametrize(
    ("lines", "expected"),
    [([], []), (["+1\n", "+2\n", "+3\n"], [3, 2, 1]), (["+1\n", "+2\n", "-2\n", "-7\n"], [1])],
)
def test_started_groups_that_did_not_end_remain(lines: list[str], expected: list[int]) -> None:
    """The last started group comes first; ended groups are not included."""
    assert guardian.survivors(lines) == expected
