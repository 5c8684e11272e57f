"""A link to the image of a record, presigned so that a browser needs no AWS credentials."""

from typing import TYPE_CHECKING

from worker.receipts.record import Record

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

SHOWN = ("image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf")
"""Media types that a browser can display. Anything else is offered as a download."""


async def link(s3: "S3Client", record: Record, *, expires_s: int) -> str:
    """Return a URL of the exact upload of `record`, valid for `expires_s` seconds.

    S3 answers with the media type found in the bytes, not the one claimed by the uploader. So an HTML page uploaded as
    an image does not run in the browser.
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
