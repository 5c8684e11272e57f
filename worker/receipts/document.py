"""An upload and its order: which of two uploads to one key is the newer."""

import datetime as dt
from dataclasses import dataclass

SEQUENCER_WIDTH = 40
"""Sequencers are hex of varying length, compared after left-padding the shorter with zeros
(docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html). Those seen have 16 to 18 digits."""


NULL_VERSION = "null"
"""The version id of every upload to a bucket whose versioning is not on, and so of many uploads of one key
(docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html)."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One upload of one object, as an event or a replay command names it."""

    bucket: str
    key: str
    uploaded_at: dt.datetime
    """When S3 took it, in UTC."""
    version_id: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    size: int | None = None
    replay_id: str | None = None
    """Set when a replay command asked for it."""
    force: bool = False
    """Ask the endpoint again even if these bytes are answered already."""

    @property
    def document(self) -> str:
        """The record's key: one document is one key in one bucket."""
        return f"{self.bucket}/{self.key}"


def padded(sequencer: str) -> str:
    """Return `sequencer` so that text order is upload order."""
    return sequencer.lower().rjust(SEQUENCER_WIDTH, "0")


def timestamp(moment: dt.datetime) -> str:
    """Return `moment` in UTC as ISO 8601 with milliseconds, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Version:
    """What identifies and orders one upload of a document, as a record keeps it."""

    uploaded_at: str
    sequencer: str | None = None
    version_id: str | None = None
    etag: str | None = None

    @classmethod
    def of(cls, upload: Upload) -> "Version":
        """Return the version of `upload`."""
        return cls(
            uploaded_at=timestamp(upload.uploaded_at),
            sequencer=upload.sequencer,
            version_id=upload.version_id,
            etag=upload.etag,
        )

    @property
    def own_id(self) -> str | None:
        """The version id, where no other upload of the document can have it."""
        return None if self.version_id == NULL_VERSION else self.version_id

    def same_as(self, other: "Version") -> bool:
        """Tell whether both name one upload: by version id, else by sequencer, else by content and second.

        To the second, because a listing's LastModified has no fraction where an event's time has one.
        """
        if self.version_id and other.version_id and (self.own_id or other.own_id):
            return self.own_id == other.own_id
        if self.sequencer and other.sequencer:
            return padded(self.sequencer) == padded(other.sequencer)
        return self.etag == other.etag and self.uploaded_at[:19] == other.uploaded_at[:19]

    def older_than(self, other: "Version") -> bool:
        """Tell whether this upload came before `other`: by sequencer where both have one, else by event time.

        Two different uploads of one instant without sequencers are ordered by etag and version id: any order will do,
        so long as every worker takes the same.
        """
        if self.same_as(other):
            return False
        if self.sequencer and other.sequencer and padded(self.sequencer) != padded(other.sequencer):
            return padded(self.sequencer) < padded(other.sequencer)
        return _instant(self) < _instant(other)


def _instant(version: Version) -> tuple[str, str, str]:
    return version.uploaded_at, version.etag or "", version.version_id or ""
