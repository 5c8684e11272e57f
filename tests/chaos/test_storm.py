"""A small storm; `make chaos` runs the full one."""

import pytest

from tests.chaos.storm import Storm, run


@pytest.mark.timeout(660)
async def test_a_storm_loses_and_duplicates_nothing() -> None:
    """Killed workers, a failing endpoint, cut calls and repeated deliveries leave one correct record per document."""
    figures = await run(Storm(uploads=120, workers=2, time_limit_s=600))
    assert figures.sound, figures
