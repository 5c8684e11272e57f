"""Permanent deletion of a document: all versions of its upload, its record, and the answers for its contents.

The contents come from the record, its history, and the bytes of every version of the upload. The record is deleted
last, so that an interrupted deletion can be repeated. docs/operations.md lists what this cannot delete.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.aws.resources import CONTENT_PREFIX, TableSpec
from worker.errors import ReceiptsError
from worker.results.attributes import from_attributes, to_attributes

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_s3 import S3Client

BATCH = 1_000
"""Most objects of one DeleteObjects call (docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html)."""
BY_CONTENT = next(index for index in TableSpec().indexes if index.name == "by_content")


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Counts of the stored data of one document."""

    document: str
    versions: int
    """Versions of the upload, including delete markers."""
    record: bool
    answers: int
    """Content rows for its present and past contents that no other document needs."""
    overflow: int
    """Versions of the objects that hold answers too large for a row."""

    @property
    def none(self) -> bool:
        """Whether nothing is stored for the document."""
        return not (self.versions or self.record or self.answers or self.overflow)


class Forgetter:
    """Finds and deletes the stored data of a document."""

    def __init__(self, s3: "S3Client", dynamodb: "DynamoDBClient", table: str) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self._table = table

    async def documents(self, bucket: str, prefix: str) -> list[str]:
        """Return every document of `bucket` whose key starts with `prefix`, including deleted objects."""
        return sorted({f"{bucket}/{version['Key']}" async for version in self._versions(bucket, prefix)})

    async def look(self, document: str, *, scan: bool = False) -> Traces:
        """Return what is stored for `document` (`bucket/key`).

        `scan` reads the whole table, to find answers for versions of the upload that no longer exist.
        """
        return await self._go(document, scan=scan, delete=False)

    async def forget(self, document: str, *, scan: bool = False) -> Traces:
        """Delete everything that `look` finds for `document`, and return what was found."""
        return await self._go(document, scan=scan, delete=True)

    async def _go(self, document: str, *, scan: bool, delete: bool) -> Traces:
        bucket, _, key = document.partition("/")
        row = await self._row(document)
        said = [row, *row.get("history", [])] if row else []
        contents = {str(found["content_sha256"]) for found in said if "content_sha256" in found}
        versions = [version async for version in self._versions(bucket, key) if version["Key"] == key]
        contents |= {await self._sha256(bucket, version) for version in versions if "Size" in version}
        if scan:
            contents |= {sha256 async for sha256 in self._asked_for(document)}
        answers = [
            (sha256, answer)
            for sha256 in sorted(contents)
            if (answer := await self._row(CONTENT_PREFIX + sha256)) and not await self._others(document, sha256)
        ]
        overflow = [
            (place[0], version)
            for place in map(_overflow_of, [answer for _, answer in answers])
            if place
            async for version in self._versions(*place)
        ]
        if delete:
            await self._delete(bucket, versions)
            for other, version in overflow:
                await self._delete(other, [version])
            for sha256, _ in answers:
                await self._drop(CONTENT_PREFIX + sha256)
            if row:
                await self._drop(document)
        return Traces(
            document=document,
            versions=len(versions),
            record=row is not None,
            answers=len(answers),
            overflow=len(overflow),
        )

    async def _row(self, document: str) -> dict[str, Any] | None:
        reply = await self._dynamodb.get_item(
            TableName=self._table, Key=to_attributes({"document": document}), ConsistentRead=True
        )
        return from_attributes(reply["Item"]) if "Item" in reply else None

    async def _drop(self, document: str) -> None:
        await self._dynamodb.delete_item(TableName=self._table, Key=to_attributes({"document": document}))

    async def _others(self, document: str, sha256: str) -> bool:
        """Return whether another document has the same content, and so needs the same answer."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=BY_CONTENT.name,
            KeyConditionExpression="#content = :content",
            FilterExpression="#document <> :document",
            ExpressionAttributeNames={"#content": BY_CONTENT.partition_key, "#document": "document"},
            ExpressionAttributeValues=to_attributes({":content": sha256, ":document": document}),
        )
        return any([page["Items"] async for page in pages])

    async def _asked_for(self, document: str) -> AsyncIterator[str]:
        """Yield the SHA-256 of each content that was answered for `document`, by scanning the whole table."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="begins_with(#document, :content) AND contains(#answer, :document)",
            ExpressionAttributeNames={"#document": "document", "#answer": "answer"},
            ExpressionAttributeValues=to_attributes(
                {":content": CONTENT_PREFIX, ":document": f'"document":{json.dumps(document, ensure_ascii=False)}'}
            ),
        )
        async for page in pages:
            for item in page["Items"]:
                yield str(from_attributes(item)["document"]).removeprefix(CONTENT_PREFIX)

    async def _versions(self, bucket: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
        async for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                yield dict(version)

    async def _sha256(self, bucket: str, version: dict[str, Any]) -> str:
        """Return the SHA-256 of one version's bytes, which is the key of its content row."""
        reply = await self._s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        digest = hashlib.sha256()
        async for chunk in reply["Body"].iter_chunks():
            digest.update(chunk)
        return digest.hexdigest()

    async def _delete(self, bucket: str, versions: list[dict[str, Any]]) -> None:
        for start in range(0, len(versions), BATCH):
            batch = versions[start : start + BATCH]
            reply = await self._s3.delete_objects(
                Bucket=bucket,
                Delete={
                    "Objects": [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in batch],
                    "Quiet": True,
                },
            )
            if errors := reply.get("Errors"):
                raise ReceiptsError(f"S3 did not delete {len(errors)} versions ({errors[0].get('Code')}); run it again")


def _overflow_of(answer: dict[str, Any]) -> tuple[str, str] | None:
    """Return the bucket and key of an answer's receipt if it was too large for the row, or None."""
    place = json.loads(answer.get("answer") or "{}").get("receipt_object")
    if not place:
        return None
    bucket, _, key = place.partition("/")
    return bucket, key
