"""Names of documents on the command line: s3://BUCKET/KEY, BUCKET/KEY, or a key in RECEIPTS_BUCKET."""

from typing import Final

HELP: Final = "BUCKET/KEY, s3://BUCKET/KEY, or only the key if RECEIPTS_BUCKET is set."


def documents_named(name: str, bucket: str | None) -> list[str]:
    """Return the documents that `name` may mean, likeliest first, with `bucket` as default. Empty if it is invalid."""
    if name.startswith("s3://"):
        return _complete([name.removeprefix("s3://")])
    return _complete([*([f"{bucket}/{name}"] if bucket else []), name])


def _complete(documents: list[str]) -> list[str]:
    return [document for document in documents if all(document.partition("/"))]
