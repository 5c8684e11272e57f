import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.bench import Result
from tests.benchmarks.spread import Goal, Spread, quantile

VALUES = st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=1, max_size=50)


@given(VALUES)
def test_a_spread_has_its_median_between_lowest_and_highest(values: list[float]) -> None:
    """The spread has the lowest, the median and the highest of the runs."""
    spread = Spread.of(values)
    assert spread.low == min(values) <= spread.median <= max(values) == spread.high
    assert spread.median == statistics.median(values)
    assert spread.runs == len(values)


@given(VALUES, st.floats(min_value=0, max_value=1))
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    """At least `share` of the values are at or below the quantile, and it is the smallest such value."""
    found = quantile(values, share)

    def reached(limit: float) -> bool:
        return sum(value <= limit for value in values) >= share * len(values)

    assert found in values
    assert reached(found)
    assert not any(reached(value) for value in values if value < found) or found == min(values)


def test_no_runs_have_no_spread() -> None:
    """A spread or quantile without values is an error."""
    with pytest.raises(ValueError, match="no run"):
        Spread.of([])
    with pytest.raises(ValueError, match="no value"):
        quantile([], 0.5)


def test_a_goal_is_met_at_its_value() -> None:
    """A value equal to the goal meets it, for both signs."""
    assert Goal("<=", 2).met(2)
    assert not Goal("<=", 2).met(2.1)
    assert Goal(">=", 2).met(2)
    assert not Goal(">=", 2).met(1.9)


def test_a_result_keeps_medians_and_spreads_under_their_path() -> None:
    """The JSON has a figure's median and its spread under the names of its path."""
    result = Result()
    result.add("efficiency", "8", "0.5", of=[0.9, 1.0, 0.97], what="efficiency", digits=2, goal=Goal(">=", 0.95))
    result.add("efficiency", "32", "0.5", of=[0.5])
    assert result.medians == {"efficiency": {"8": {"0.5": 0.97}, "32": {"0.5": 0.5}}}
    assert result.spreads["efficiency"]["32"]["0.5"] == {"median": 0.5, "low": 0.5, "high": 0.5, "runs": 1}
    told = {"what": "efficiency", "unit": "", "goal": ">= 0.95", "met": True}
    assert result.spreads["efficiency"]["8"]["0.5"] == {"median": 0.97, "low": 0.9, "high": 1.0, "runs": 3} | told
    assert [row.met for row in result.rows] == [True]
