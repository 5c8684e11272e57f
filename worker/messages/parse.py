"""The parser of message bodies, for every form that reaches the queue.

It understands S3 event notifications, S3 events from EventBridge, either of them in an SNS envelope, the test event of
S3, and the replay command. Any other body is `Malformed`, with a reason that the dead-letter queue shows.
"""

import datetime as dt
import json
import re
from dataclasses import dataclass
from string import hexdigits
from typing import Any
from urllib.parse import unquote_plus

from worker.aws.resources import OWN_PREFIX
from worker.errors import Malformed
from worker.receipts.document import SEQUENCER_WIDTH, Upload

REPLAY_KIND = "receipts.replay"
MAX_KEY_BYTES = 1_024
"""Longest key in S3, bytes of UTF-8 (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""
BUCKET = re.compile(r"(?=.*[a-z0-9])[a-z0-9._-]{1,255}", re.ASCII | re.IGNORECASE)
"""Names that a bucket can have, including the old ones in us-east-1
(docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html). S3 clients refuse any other
name, or take it for an ARN."""
MAX_REPLAY_ID_BYTES = 1_024
"""Longest replay id, bytes: the record keeps it, and must have room for it."""
MAX_ENVELOPES = 3
"""Deepest nesting of envelopes: SNS in EventBridge in SNS."""


@dataclass(frozen=True)
class Message:
    """The content of a body: the uploads to work on. There are none if the event is known but not for this worker."""

    uploads: tuple[Upload, ...]
    ignored: str | None = None
    """Why there is nothing to do: "test_event", "object_removed", "own_output", "other_event"."""
    malformed: str | None = None
    """Why some records could not be read. The message is dead-lettered after its uploads are done."""


def parse(body: str) -> Message:
    """Return the message that `body` holds, or raise `Malformed`."""
    return _parse(body, depth=0)


def _parse(body: str, *, depth: int) -> Message:
    if depth >= MAX_ENVELOPES:
        raise Malformed("nested_too_deep", f"the body has more than {MAX_ENVELOPES - 1} nested envelopes")
    content = _json_object(body)
    if content.get("Type") == "Notification" and isinstance(content.get("Message"), str):
        return _parse(content["Message"], depth=depth + 1)
    if content.get("Event") == "s3:TestEvent":
        return Message(uploads=(), ignored="test_event")
    if content.get("kind") == REPLAY_KIND:
        return Message(uploads=(_replay(content),))
    if "detail-type" in content and isinstance(content.get("detail"), dict):
        return _eventbridge(content)
    if isinstance(content.get("Records"), list):
        return _notification(content["Records"])
    raise Malformed("unknown_body", "neither an S3 event nor a replay command")


def _json_object(body: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("not_json", "the body is not valid JSON") from error
    if not isinstance(content, dict):
        raise Malformed("not_an_object", "the body is JSON, but not an object")
    return content


def _notification(records: list[Any]) -> Message:
    """Read an S3 event notification. Minor versions only add fields, so all versions 2.x are read alike."""
    if not records:
        raise Malformed("no_records", "the event has an empty list of records")
    uploads: list[Upload] = []
    ignored: str | None = None
    malformed: Malformed | None = None
    for record in records:
        try:
            result = _record(record)
        except Malformed as error:
            malformed = malformed or error
            continue
        if isinstance(result, Upload):
            uploads.append(result)
        else:
            ignored = ignored or result
    if malformed and not uploads:
        raise malformed
    return Message(
        uploads=tuple(uploads), ignored=None if uploads else ignored, malformed=malformed.reason if malformed else None
    )


def _record(record: Any) -> Upload | str:
    """Return the upload that one record of a notification names, or why there is nothing to do."""
    if not isinstance(record, dict) or not isinstance(record.get("s3"), dict):
        raise Malformed("not_an_s3_record", "a record of the event is not from S3")
    version, name = record.get("eventVersion", "2.0"), record.get("eventName")
    if not isinstance(version, str) or version.split(".")[0] != "2":
        raise Malformed("unknown_event_version", "only version 2.x of the S3 event format is supported")
    name = name.removeprefix("s3:") if isinstance(name, str) else ""
    if name.startswith("ObjectRemoved"):
        return "object_removed"
    if not name.startswith("ObjectCreated"):
        return "other_event"
    upload = _record_upload(record)
    return "own_output" if upload.key.startswith(OWN_PREFIX) else upload


def _record_upload(record: dict[str, Any]) -> Upload:
    s3 = record["s3"]
    bucket, thing = s3.get("bucket"), s3.get("object")
    if not isinstance(bucket, dict) or not isinstance(thing, dict):
        raise Malformed("no_upload_named", "a record names no bucket or no object")
    key = thing.get("key")
    return _upload(
        bucket=bucket.get("name"),
        # Form-encoded: "+" is a space and "%2B" a plus.
        key=_decoded(key) if isinstance(key, str) else None,
        uploaded_at=record.get("eventTime"),
        version_id=thing.get("versionId"),
        etag=thing.get("eTag"),
        sequencer=thing.get("sequencer"),
        size=thing.get("size"),
    )


def _decoded(key: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed("bad_key", "the key is not UTF-8") from error


def _eventbridge(content: dict[str, Any]) -> Message:
    """Read an EventBridge event; its keys are not encoded.

    Source: docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
    """
    if content.get("source") != "aws.s3":
        raise Malformed("not_from_s3", "an EventBridge event of another source")
    if content["detail-type"] != "Object Created":
        removed = content["detail-type"] == "Object Deleted"
        return Message(uploads=(), ignored="object_removed" if removed else "other_event")
    detail = content["detail"]
    bucket, thing = detail.get("bucket"), detail.get("object")
    if not isinstance(bucket, dict) or not isinstance(thing, dict):
        raise Malformed("no_upload_named", "the event names no bucket or no object")
    upload = _upload(
        bucket=bucket.get("name"),
        key=thing.get("key"),
        uploaded_at=content.get("time"),
        version_id=thing.get("version-id"),
        etag=thing.get("etag"),
        sequencer=thing.get("sequencer"),
        size=thing.get("size"),
    )
    if upload.key.startswith(OWN_PREFIX):
        return Message(uploads=(), ignored="own_output")
    return Message(uploads=(upload,))


def _replay(content: dict[str, Any]) -> Upload:
    replay_id = content.get("replay_id")
    if not isinstance(replay_id, str) or not replay_id:
        raise Malformed("no_replay_id", "a replay command needs a replay_id")
    if len(_utf8(replay_id)) > MAX_REPLAY_ID_BYTES:
        raise Malformed("bad_replay_id", f"a replay_id has at most {MAX_REPLAY_ID_BYTES} bytes")
    return _upload(
        bucket=content.get("bucket"),
        key=content.get("key"),
        uploaded_at=content.get("uploaded_at"),
        version_id=content.get("version_id"),
        etag=content.get("etag"),
        sequencer=content.get("sequencer"),
        size=content.get("size"),
        replay_id=replay_id,
        force=content.get("force") is True,
    )


def replay_body(upload: Upload) -> str:
    """Return the replay command for `upload`, whose `replay_id` must be set; `parse` reads it back as `upload`."""
    if not upload.replay_id:
        raise ValueError("a replay command needs a replay_id")
    return json.dumps(
        {
            "kind": REPLAY_KIND,
            "replay_id": upload.replay_id,
            "force": upload.force,
            "bucket": upload.bucket,
            "key": upload.key,
            "uploaded_at": upload.uploaded_at.isoformat(),
            "version_id": upload.version_id,
            "etag": upload.etag,
            "sequencer": upload.sequencer,
            "size": upload.size,
        }
    )


def _upload(
    *,
    bucket: Any,
    key: Any,
    uploaded_at: Any,
    version_id: Any,
    etag: Any,
    sequencer: Any,
    size: Any,
    replay_id: str | None = None,
    force: bool = False,
) -> Upload:
    if not isinstance(bucket, str) or not bucket or not isinstance(key, str) or not key:
        raise Malformed("no_upload_named", "the bucket's name or the object's key is missing")
    if not BUCKET.fullmatch(bucket):
        raise Malformed("bad_bucket", "the name is not a valid bucket name")
    if len(_utf8(key)) > MAX_KEY_BYTES:
        raise Malformed("key_too_long", f"a key in S3 has at most {MAX_KEY_BYTES} bytes")
    return Upload(
        bucket=bucket,
        key=key,
        uploaded_at=_moment(uploaded_at),
        # S3 uses "null" as the version id of objects from before versioning, and accepts it like any other.
        version_id=_text(version_id),
        etag=(_text(etag) or "").strip('"') or None,
        sequencer=_sequencer(sequencer),
        size=size if type(size) is int and size >= 0 else None,
        replay_id=replay_id,
        force=force,
    )


def _utf8(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise Malformed("bad_name", "a key or replay_id is not UTF-8") from error


def _text(value: Any) -> str | None:
    """Return a version id or etag, which in S3 are short ASCII text, or None."""
    return value if isinstance(value, str) and value and value.isascii() and len(value) <= MAX_KEY_BYTES else None


def _sequencer(value: Any) -> str | None:
    """Return a sequencer that can be compared, or None: event time then decides the order."""
    if not isinstance(value, str) or not value:
        return None
    return value if len(value) <= SEQUENCER_WIDTH and all(digit in hexdigits for digit in value) else None


def _moment(value: Any) -> dt.datetime:
    if not isinstance(value, str):
        raise Malformed("no_event_time", "the event has no timestamp")
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError as error:
        raise Malformed("bad_event_time", "the event's time is not in ISO 8601") from error
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except OverflowError as error:
        raise Malformed("bad_event_time", "the event's time is out of range") from error
