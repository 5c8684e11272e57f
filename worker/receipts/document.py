"""Uploads and their order: decides which of two uploads to one key is newer."""

import datetime as dt
from dataclasses import dataclass

SEQUENCER_WIDTH = 40
"""Sequencers are hex numbers of varying length. They are compared after padding the shorter one with zeros on the left
(docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html). Real ones have 16 to 18 digits."""

NULL_VERSION = "null"
"""The version id of every upload to a bucket without versioning: several uploads to one key can share it
(docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html)."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One upload of one object, as named by an event or a replay command."""

    bucket: str
    key: str
    uploaded_at: dt.datetime
    """When S3 received it, in UTC."""
    version_id: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    size: int | None = None
    replay_id: str | None = None
    """The replay that requested this upload, if any."""
    force: bool = False
    """Call the endpoint again even if it has answered for these bytes."""

    @property
    def document(self) -> str:
        """The key of the record: `bucket/key`."""
        return f"{self.bucket}/{self.key}"


def padded(sequencer: str) -> str:
    """Return `sequencer` padded so that text order is upload order."""
    return sequencer.lower().rjust(SEQUENCER_WIDTH, "0")


def timestamp(moment: dt.datetime) -> str:
    """Return `moment` in UTC as ISO 8601 with milliseconds, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Version:
    """The identity and order of one upload of a document, as stored in a record."""

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
        """The version id if it is unique to this upload, else None."""
        return None if self.version_id == NULL_VERSION else self.version_id

    def same_as(self, other: "Version") -> bool:
        """Return whether both are the same upload: by version id, else by sequencer, else by ETag and second.

        Fractions of a second are ignored: an event's time has one, the LastModified of a listing does not.
        """
        if self.version_id and other.version_id and (self.own_id or other.own_id):
            return self.own_id == other.own_id
        if self.sequencer and other.sequencer:
            return padded(self.sequencer) == padded(other.sequencer)
        return self.etag == other.etag and self.uploaded_at[:19] == other.uploaded_at[:19]

    def older_than(self, other: "Version") -> bool:
        """Return whether this upload came before `other`: by sequencer if both have one, else by event time.

        Uploads at the same instant without sequencers are ordered by ETag and version id. The order is arbitrary, but
        the same for every worker.
        """
        if self.same_as(other):
            return False
        if self.sequencer and other.sequencer and padded(self.sequencer) != padded(other.sequencer):
            return padded(self.sequencer) < padded(other.sequencer)
        return _instant(self) < _instant(other)


def _instant(version: Version) -> tuple[str, str, str]:
    return version.uploaded_at, version.etag or "", version.version_id or ""
