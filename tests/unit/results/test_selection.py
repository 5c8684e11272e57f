"""Which index answers a selection, and which conditions remain as filters."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.aws.resources import LISTED, STATUS_SHARDS, TableSpec
from worker.receipts.record import STATUSES
from worker.results.selection import BadQuery, Selection, plan

TODAY = dt.date(2026, 11, 23)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)

selections = st.builds(
    lambda *, named, **conditions: Selection(**named, **conditions),
    statuses=st.lists(st.sampled_from(STATUSES), max_size=4).map(tuple),
    named=st.sampled_from([{}, {"merchant": "Café Müller"}, {"merchant_like": "Mül"}]),
    purchased_from=st.none() | st.dates(dt.date(2024, 1, 1), dt.date(2025, 1, 1)),
    purchased_to=st.none() | st.dates(dt.date(2025, 1, 2), dt.date(2026, 1, 1)),
    uploaded_from=st.none() | st.just(NOON - dt.timedelta(days=9)),
    uploaded_to=st.none() | st.just(NOON),
    total_from=st.none() | st.just(Decimal(5)),
    total_to=st.none() | st.just(Decimal(50)),
    currency=st.none() | st.just("EUR"),
    reason=st.none() | st.just("too_large"),
    content_sha256=st.none() | st.just("ab" * 32),
    duplicates=st.none() | st.booleans(),
)


@given(selections)
def test_every_question_has_an_index_that_exists(selection: Selection) -> None:
    """Each plan uses an existing index with its keys, and filters only on projected attributes."""
    chosen = plan(selection, today=TODAY)
    index = next(one for one in TableSpec().indexes if one.name == chosen.index)
    assert (index.partition_key, index.sort_key) == (chosen.partition_key, chosen.sort_key)
    carried = {*LISTED, index.partition_key, index.sort_key}
    assert {one.attribute.split(".")[0] for one in chosen.filters} <= carried


@given(selections)
def test_a_key_of_the_index_is_never_a_filter(selection: Selection) -> None:
    """No plan filters on a key of its index, which DynamoDB refuses."""
    chosen = plan(selection, today=TODAY)
    assert not {one.attribute for one in chosen.filters} & {chosen.partition_key, chosen.sort_key}


def test_status_and_upload_time_are_answered_by_the_index_alone() -> None:
    """A status with an upload range is a range query on its shards, without filters."""
    chosen = plan(Selection(statuses=("failed",), uploaded_from=NOON), today=TODAY)
    assert chosen.whole
    assert chosen.merged
    assert chosen.partitions == tuple(f"failed#{shard}" for shard in range(STATUS_SHARDS))
    assert (chosen.low, chosen.high) == ("2026-11-23T12:00:00.000Z", None)


def test_months_come_newest_first_and_cover_the_range() -> None:
    """A range of purchase dates queries its months, newest first, limited to the exact days."""
    chosen = plan(Selection(purchased_from=dt.date(2025, 11, 30), purchased_to=dt.date(2026, 1, 2)), today=TODAY)
    assert chosen.partitions == ("2026-01", "2025-12", "2025-11")
    assert (chosen.low, chosen.high) == ("2025-11-30", "2026-01-02")
    assert chosen.whole


def test_a_merchant_is_found_whatever_its_spelling() -> None:
    """Case, accents and punctuation are ignored, and a date range excludes receipts without a date."""
    chosen = plan(Selection(merchant="CAFÉ  Müller!", purchased_from=dt.date(2026, 1, 1)), today=TODAY)
    assert chosen.partitions == ("cafe muller",)
    assert chosen.high is not None
    assert chosen.high < "undated"


def test_a_condition_without_an_index_is_a_filter() -> None:
    """A range of totals is a filter, and the plan is not `whole`."""
    chosen = plan(Selection(total_from=Decimal(5)), today=TODAY)
    assert not chosen.whole
    assert [(one.attribute, one.value) for one in chosen.filters] == [("total", Decimal(5))]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"statuses": ("done",)}, "unknown status 'done'"),
        (
            {"purchased_from": dt.date(2026, 2, 1), "purchased_to": dt.date(2026, 1, 1)},
            "the end of the range",
        ),
        ({"total_from": Decimal(2), "total_to": Decimal(1)}, "total: the end"),
        ({"merchant": "!?"}, "has no letter or digit"),
        ({"merchant": "ALDI", "merchant_like": "AL"}, "not both"),
    ],
)
def test_an_invalid_selection_is_refused(wrong: dict[str, object], says: str) -> None:
    """An invalid selection is refused with an explanation."""
    with pytest.raises(BadQuery, match=says):
        Selection(**wrong)  # type: ignore[arg-type] # deliberately wrong


def test_two_selections_have_two_fingerprints() -> None:
    """Different selections have different fingerprints."""
    assert Selection(currency="EUR").fingerprint != Selection(currency="USD").fingerprint
    assert Selection(currency="EUR").fingerprint == Selection(currency="EUR").fingerprint
