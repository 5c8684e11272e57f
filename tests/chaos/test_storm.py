"""The storm in a small size; `make chaos` runs it in full."""

import pytest

from tests.chaos.storm import Storm, run


@pytest.mark.timeout(660)
async def test_nothing_is_lost_or_doubled_in_a_storm() -> None:
    """Killed workers, a failing endpoint, cut calls and repeated deliveries leave one right record an upload."""
    figures = await run(Storm(uploads=120, workers=2, time_limit_s=600))
    assert figures.sound, figures
