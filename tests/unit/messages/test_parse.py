"""Parsing of message bodies: every known format, and anything else that may arrive."""

import datetime as dt
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Malformed
from worker.messages.parse import BUCKET, MAX_KEY_BYTES, Message, parse, replay_body
from worker.receipts.document import Upload

AT = "2026-11-23T10:00:00.417Z"
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
moments = st.datetimes(timezones=st.just(dt.UTC))
ascii_words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def record(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": AT,
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "receipts"},
            "object": {"key": "in/red+flower.jpg", "size": 7, "eTag": "e1", "sequencer": "0055AED6DCD90281E5"},
        },
    }
    return whole | changes


def notification(*records: Any) -> str:
    return json.dumps({"Records": list(records)})


def eventbridge(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": AT,
        "detail": {
            "version": "0",
            "bucket": {"name": "receipts"},
            "object": {"key": "in/red+flower.jpg", "size": 7, "etag": "e1", "version-id": "v1", "sequencer": "00AB"},
            "reason": "PutObject",
        },
    }
    return whole | changes


def sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "1", "Message": body})


def read(body: str) -> Message | str:
    """Return the message or the reason why the body is malformed. Other errors pass through."""
    try:
        return parse(body)
    except Malformed as error:
        return error.reason


def reason(body: str) -> str:
    with pytest.raises(Malformed) as caught:
        parse(body)
    assert caught.value.detail, "the error also has a sentence for people"
    return caught.value.reason


def test_a_notification_names_its_upload() -> None:
    """An upload has every field of the S3 notification, with the key decoded."""
    (upload,) = parse(notification(record())).uploads
    assert upload == Upload(
        bucket="receipts",
        key="in/red flower.jpg",
        uploaded_at=dt.datetime(2026, 11, 23, 10, 0, 0, 417_000, tzinfo=dt.UTC),
        etag="e1",
        sequencer="0055AED6DCD90281E5",
        size=7,
    )


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.6", "2.99"])
def test_every_minor_event_version_is_read(version: str) -> None:
    """Every minor version is read, because S3 only adds fields in a minor version."""
    assert len(parse(notification(record(eventVersion=version))).uploads) == 1


@given(key=words)
def test_keys_of_notifications_are_form_decoded(key: str) -> None:
    """Parsing reverses the form encoding of any key: a plus is a blank and %2B is a plus."""
    body = record(s3={"bucket": {"name": "b"}, "object": {"key": quote_plus(key)}})
    assert parse(notification(body)).uploads[0].key == key


@given(key=words)
def test_keys_of_eventbridge_are_not_decoded(key: str) -> None:
    """Keys of EventBridge events are taken literally, because EventBridge does not encode them."""
    detail = {"bucket": {"name": "b"}, "object": {"key": key}}
    message = parse(json.dumps(eventbridge(detail=detail)))
    assert message.ignored == "own_output" if key.startswith("_receipts/") else message.uploads[0].key == key


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "sns"])
def test_an_sns_envelope_changes_nothing(*, wrapped: bool) -> None:
    """Each kind of body is parsed in the same way with and without an SNS envelope."""
    for body in (notification(record()), json.dumps(eventbridge()), json.dumps({"Event": "s3:TestEvent"})):
        assert parse(sns(body) if wrapped else body) == parse(body)


def test_eventbridge_names_its_upload_with_its_version() -> None:
    """An EventBridge event carries the version id, the sequencer and the time of the event."""
    (upload,) = parse(json.dumps(eventbridge())).uploads
    assert (upload.key, upload.version_id, upload.sequencer) == ("in/red+flower.jpg", "v1", "00AB")
    assert upload.uploaded_at.microsecond == 417_000


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}), "test_event"),
        (notification(record(eventName="ObjectRemoved:Delete")), "object_removed"),
        (notification(record(eventName="s3:ObjectRemoved:DeleteMarkerCreated")), "object_removed"),
        (notification(record(eventName="ObjectRestore:Completed")), "other_event"),
        (json.dumps(eventbridge(**{"detail-type": "Object Deleted"})), "object_removed"),
        (json.dumps(eventbridge(**{"detail-type": "Object Tags Added"})), "other_event"),
        (
            notification(record(s3={"bucket": {"name": "b"}, "object": {"key": "_receipts/receipts/x.json"}})),
            "own_output",
        ),
    ],
)
def test_known_events_without_an_upload_are_ignored(body: str, ignored: str) -> None:
    """Test events, removals and the worker's own output lead to no record and no dead letter."""
    assert parse(body) == Message(uploads=(), ignored=ignored)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_an_object"),
        ('"x"', "not_an_object"),
        ("{}", "unknown_body"),
        (json.dumps({"Records": []}), "no_records"),
        (notification({"kinesis": {}}), "not_an_s3_record"),
        (notification(record(eventVersion="3.0")), "unknown_event_version"),
        (notification(record(s3={"bucket": {}, "object": {"key": "k"}})), "no_upload_named"),
        (notification(record(s3={"bucket": {"name": "b"}, "object": {}})), "no_upload_named"),
        (notification(record(s3={"bucket": {"name": "b"}, "object": {"key": "%ff"}})), "bad_key"),
        *(
            (notification(record(s3={"bucket": {"name": name}, "object": {"key": "k"}})), "bad_bucket")
            for name in ("b" * 256, "two words", "a/b", "..", "ü", "arn:aws:s3:us-east-1:123456789012:accesspoint/x")
        ),
        (notification(record(s3={"bucket": {"name": "b"}, "object": {"key": "k" * 1025}})), "key_too_long"),
        (notification(record(eventTime=None)), "no_event_time"),
        (notification(record(eventTime="yesterday")), "bad_event_time"),
        (notification(record(eventTime="0001-01-01T00:00:00+23:00")), "bad_event_time"),
        (json.dumps(eventbridge(source="my.app")), "not_from_s3"),
        (json.dumps({"kind": "receipts.replay", "bucket": "b", "key": "k", "uploaded_at": AT}), "no_replay_id"),
        *(
            (json.dumps({"kind": "receipts.replay", "replay_id": replay_id, "bucket": "b", "key": "k"}), expected)
            for replay_id, expected in (("r" * 1_025, "bad_replay_id"), ("\ud800", "bad_name"))
        ),
        (sns(sns(sns(notification(record())))), "nested_too_deep"),
    ],
)
def test_each_malformed_body_has_its_reason(body: str, expected: str) -> None:
    """Each kind of malformed body has its own reason, which the dead-letter entry shows."""
    assert reason(body) == expected


def test_a_key_of_1024_bytes_is_read() -> None:
    """S3's limit of 1024 bytes counts the UTF-8 encoding."""
    key = "é" * (MAX_KEY_BYTES // 2)
    body = record(s3={"bucket": {"name": "b"}, "object": {"key": quote_plus(key)}})
    assert parse(notification(body)).uploads[0].key == key


def test_one_bad_record_does_not_spoil_the_others() -> None:
    """The good uploads are returned, and the message has the reason why a record was unreadable."""
    message = parse(notification(record(), {"s3": None}, record(eventName="ObjectRemoved:Delete")))
    assert len(message.uploads) == 1
    assert message.malformed == "not_an_s3_record"


def test_two_hundred_records_are_two_hundred_uploads() -> None:
    """Every record of a long body becomes an upload."""
    records = [record(s3={"bucket": {"name": "b"}, "object": {"key": str(number)}}) for number in range(200)]
    assert [upload.key for upload in parse(notification(*records)).uploads] == [str(number) for number in range(200)]


@given(
    upload=st.builds(
        Upload,
        bucket=st.from_regex(BUCKET, fullmatch=True),
        key=words,
        uploaded_at=moments,
        version_id=st.none() | ascii_words,
        etag=st.none() | st.text("0123456789abcdef-", min_size=1, max_size=40),
        sequencer=st.none() | st.text("0123456789ABCDEF", min_size=1, max_size=40),
        size=st.none() | st.integers(min_value=0, max_value=5 * 2**40),
        replay_id=words,
        force=st.booleans(),
    )
)
def test_a_replay_body_is_parsed_as_its_upload(upload: Upload) -> None:
    """Parsing the replay body of an upload returns the same upload."""
    assert parse(replay_body(upload)) == Message(uploads=(upload,))


def test_a_replay_needs_its_id() -> None:
    """A replay body without a replay id is refused."""
    with pytest.raises(ValueError, match="replay_id"):
        replay_body(Upload(bucket="b", key="k", uploaded_at=dt.datetime.now(dt.UTC)))


@given(body=st.text() | json_values.map(json.dumps))
def test_any_text_is_a_message_or_malformed(body: str) -> None:
    """No body raises any error other than Malformed."""
    assert read(body)


@given(data=st.data())
def test_any_value_in_any_field_is_a_message_or_malformed(data: st.DataObject) -> None:
    """A known format with an odd value in any field is parsed or malformed; no other error is raised."""
    whole: Any = data.draw(
        st.sampled_from(
            [
                {"Records": [record()]},
                eventbridge(),
                {"kind": "receipts.replay", "replay_id": "r", "bucket": "b", "key": "k", "uploaded_at": AT},
            ]
        )
    )
    content = json.loads(json.dumps(whole))
    place = content
    while True:
        at = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[at], dict | list) or not place[at] or data.draw(st.booleans()):
            place[at] = data.draw(json_values)
            break
        place = place[at]
    assert read(json.dumps(content))


@pytest.mark.parametrize("field", ["eventVersion", "eventName", "eventTime"])
def test_deep_nesting_does_not_crash(field: str) -> None:
    """A deeply nested field is malformed like any other wrong value."""
    for depth in (500, 900, 980, 990):
        body = notification(record(**{field: 0})).replace(f'"{field}": 0', f'"{field}": {"[" * depth}{"]" * depth}')
        assert read(body)
