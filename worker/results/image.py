"""A link to the image of a record: presigned by S3, so that nobody needs credentials to look at it."""

from typing import TYPE_CHECKING

from worker.receipts.record import Record

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

SHOWN = ("image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf")
"""What a browser shows by itself; anything else is handed over as a download."""


async def link(s3: "S3Client", record: Record, *, expires_s: int) -> str:
    """Return a URL under which the very upload of `record` can be fetched for `expires_s` seconds.

    S3 answers with the type that was found in the bytes, never with one that the uploader claimed: a page of HTML
    named as an image must not run anywhere.
    """
    bucket, _, key = record.document.partition("/")
    media_type = record.media_type if record.media_type in SHOWN else "application/octet-stream"
    wanted = {
        "Bucket": bucket,
        "Key": key,
        "ResponseContentType": media_type,
        "ResponseContentDisposition": "inline" if media_type in SHOWN else "attachment",
    }
    if record.version_id:
        wanted["VersionId"] = record.version_id
    return await s3.generate_presigned_url("get_object", Params=wanted, ExpiresIn=expires_s)
