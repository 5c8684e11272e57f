"""The outcome of a message with several records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.messages.outcomes import DeadLetter, Done, Outcome, Reject, Release, Retry, combine

outcomes: st.SearchStrategy[Outcome] = st.sampled_from(
    [Done("extracted"), Reject("empty"), Retry("unusable_answer"), DeadLetter("bad_key"), Release("shutdown")]
)


def test_a_message_without_records_is_done() -> None:
    """A message without records has nothing to retry, so it is done."""
    assert combine([]) == Done()


@given(st.lists(outcomes, min_size=1))
def test_a_message_comes_back_if_any_record_must(several: list[Outcome]) -> None:
    """The message is deleted only if every record is done or rejected, and comes back if any record must."""
    combined = combine(several)
    assert combined in several
    assert isinstance(combined, Done | Reject) == all(isinstance(one, Done | Reject) for one in several)
    assert isinstance(combined, Retry | Release) == any(isinstance(one, Retry | Release) for one in several)


@given(st.lists(outcomes, min_size=1))
def test_the_order_of_records_does_not_matter(several: list[Outcome]) -> None:
    """Reversing the records does not change the combined outcome."""
    assert combine(several) == combine(several[::-1])


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ([Done(), Reject("empty")], Reject("empty")),
        ([DeadLetter("bad_key"), Reject("empty")], DeadLetter("bad_key")),
        ([DeadLetter("bad_key"), Retry("x")], Retry("x")),
        ([Release(), Retry("x")], Release()),
    ],
)
def test_the_outcome_of_highest_rank_wins(several: list[Outcome], expected: Outcome) -> None:
    """The first that occurs of release, retry, dead letter, reject and done wins."""
    assert combine(several) == expected
