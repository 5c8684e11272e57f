"""The origin of an answer: AWS, or something in between that answered instead of it, such as a proxy."""

from collections.abc import Mapping
from typing import Final

REQUEST_IDS: Final = ("x-amz-request-id", "x-amzn-requestid")
"""Headers of which every answer of S3 has the first and other services have the second; emulators have either
(docs.aws.amazon.com/AmazonS3/latest/userguide/get-request-ids.html)."""


def is_from_aws(headers: Mapping[str, str]) -> bool:
    """Return whether an answer with these headers (lower case, or a case-insensitive mapping) comes from AWS."""
    return any(name in headers for name in REQUEST_IDS)
