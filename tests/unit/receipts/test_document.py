"""The order of two uploads to one key."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from worker.receipts.document import NULL_VERSION, SEQUENCER_WIDTH, Upload, Version, padded, timestamp

hex_digits = st.text("0123456789abcdefABCDEF", min_size=1, max_size=SEQUENCER_WIDTH)
stamps = st.integers(min_value=0, max_value=3_000).map(
    lambda ms: timestamp(dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms))
)
etags = st.sampled_from(["e1", "e2", None])
sequenced = st.builds(Version, uploaded_at=stamps, sequencer=hex_digits, etag=etags)
timed = st.builds(Version, uploaded_at=stamps, etag=etags)
versions = st.builds(
    Version,
    uploaded_at=stamps,
    sequencer=st.none() | hex_digits,
    etag=etags,
    version_id=st.sampled_from(["v1", "v2", NULL_VERSION, None]),
)


@given(st.integers(min_value=0, max_value=16**38), st.integers(min_value=0, max_value=16**38))
def test_sequencers_are_compared_as_numbers_of_any_length(one: int, other: int) -> None:
    """The text order of padded sequencers is their numeric order, for any case and length."""
    assert (padded(f"{one:X}") < padded(f"{other:x}")) == (one < other)


@given(versions, versions)
def test_at_most_one_of_two_versions_is_older(one: Version, other: Version) -> None:
    """Two versions are the same upload, or exactly one is older."""
    verdicts = [one.same_as(other), one.older_than(other), other.older_than(one)]
    assert verdicts.count(True) == 1
    assert one.same_as(other) == other.same_as(one)


@given(versions)
def test_a_version_is_the_same_as_itself(version: Version) -> None:
    """No version is older than itself."""
    assert version.same_as(version)
    assert not version.older_than(version)


@given(st.lists(sequenced, min_size=3, max_size=3) | st.lists(timed, min_size=3, max_size=3))
def test_the_order_is_transitive(three: list[Version]) -> None:
    """If all versions or none have a sequencer, the order is transitive."""
    one, two, three_ = three
    if one.older_than(two) and two.older_than(three_) and not one.same_as(three_):
        assert one.older_than(three_)


def test_the_sequencer_takes_precedence_over_the_time() -> None:
    """Sequencers decide even if the event times have another order."""
    first = Version(uploaded_at="2026-01-01T00:00:09.000Z", sequencer="0A")
    second = Version(uploaded_at="2026-01-01T00:00:01.000Z", sequencer="000B")
    assert first.older_than(second)


def test_uploads_to_an_unversioned_bucket_are_distinguished() -> None:
    """Uploads that share the version id "null" are distinguished by sequencer, or by ETag and time."""
    at = "2026-01-01T00:00:01.000Z"
    one, two = (Version(uploaded_at=at, version_id=NULL_VERSION, sequencer=each) for each in ("0A", "0B"))
    assert one.older_than(two)
    first, second = (Version(uploaded_at=at, version_id=NULL_VERSION, etag=each) for each in ("a", "b"))
    assert first.older_than(second) != second.older_than(first)
    assert first.same_as(Version(uploaded_at=at, version_id=NULL_VERSION, etag="a"))
    assert not first.same_as(Version(uploaded_at=at, version_id="v1", etag="a"))


def test_a_listing_and_an_event_give_the_same_upload() -> None:
    """A version from a listing, with whole seconds and no sequencer, equals that of the event."""
    event = Version(uploaded_at="2026-01-01T00:00:01.417Z", sequencer="0A", etag="e")
    listed = Version(uploaded_at="2026-01-01T00:00:01.000Z", etag="e")
    assert event.same_as(listed)


@given(st.datetimes(timezones=st.timezones(), min_value=dt.datetime(1990, 1, 2), max_value=dt.datetime(2100, 1, 1)))  # noqa: DTZ001 - hypothesis wants its bounds naive
def test_stamps_are_utc_of_one_width(moment: dt.datetime) -> None:
    """Every timestamp has the same length and is exact to the millisecond."""
    stamp = timestamp(moment)
    assert len(stamp) == len("2026-01-01T00:00:00.000Z")
    assert abs(dt.datetime.fromisoformat(stamp) - moment) < dt.timedelta(milliseconds=1)


def test_the_document_is_bucket_and_key() -> None:
    """The document is `bucket/key`."""
    assert Upload(bucket="b", key="a/k", uploaded_at=dt.datetime.now(dt.UTC)).document == "b/a/k"
