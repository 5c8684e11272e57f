"""How a person names a document: s3://BUCKET/KEY, BUCKET/KEY, or the key alone in the bucket that is set."""

from typing import Final

HELP: Final = "BUCKET/KEY, s3://BUCKET/KEY, or the key alone in the bucket that is set."


def documents_named(name: str, bucket: str | None) -> list[str]:
    """Return the documents that `name` may mean where `bucket` is set, the likelier first; none where it is no name."""
    if name.startswith("s3://"):
        return _whole([name.removeprefix("s3://")])
    return _whole([*([f"{bucket}/{name}"] if bucket else []), name])


def _whole(documents: list[str]) -> list[str]:
    return [document for document in documents if all(document.partition("/"))]
