"""Checks of permissions. Each makes a call that changes nothing, because it fails for another reason if allowed.

Such a reason is a condition that is never true, an invalid receipt handle, or an object that does not exist.
"""

from collections.abc import Awaitable
from typing import Any

from botocore.exceptions import ClientError

from worker.aws.resources import CONTENT_PREFIX, OWN_PREFIX
from worker.commands.support.checkup.finding import Installation, given, queue_attributes

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AccessDeniedFault", "403", "UnauthorizedOperation"})
NO_SUCH_KEY = f"{OWN_PREFIX}doctor/no-such-object"
NO_SUCH_DOCUMENT = f"{CONTENT_PREFIX}doctor"
NO_MESSAGE = "doctor: not a receipt handle"


async def may_take_messages(installation: Installation) -> str:
    """Check extend and delete. Check receive only if the queue is empty, so that no message is delayed."""
    url, sqs = given(installation.settings, "queue_url"), installation.clients.sqs
    await _refused(sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=NO_MESSAGE, VisibilityTimeout=0))
    await _refused(sqs.delete_message(QueueUrl=url, ReceiptHandle=NO_MESSAGE))
    if (await queue_attributes(installation, url))["ApproximateNumberOfMessages"] != "0":
        return "extend, delete; receive was not tried, because messages are waiting"
    await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=0, VisibilityTimeout=0)
    return "receive, extend, delete"


async def may_fetch(installation: Installation) -> str:
    """Check that uploads can be fetched, and that S3 distinguishes missing objects from denied ones."""
    name = given(installation.settings, "bucket")
    await _refused(installation.clients.s3.get_object(Bucket=name, Key=NO_SUCH_KEY))
    return "get objects, detect missing ones"


async def may_store(installation: Installation) -> str:
    """Check that records can be read, written and queried."""
    dynamodb, name = installation.clients.dynamodb, installation.settings.table
    key: Any = {"document": {"S": NO_SUCH_DOCUMENT}}
    await dynamodb.get_item(TableName=name, Key=key)
    await dynamodb.batch_get_item(RequestItems={name: {"Keys": [key]}})
    never = "attribute_exists(document)"
    await _refused(dynamodb.put_item(TableName=name, Item=key, ConditionExpression=never))
    await _refused(dynamodb.delete_item(TableName=name, Key=key, ConditionExpression=never))
    await dynamodb.query(
        TableName=name,
        IndexName=installation.specs.table.indexes[0].name,
        KeyConditionExpression="#key = :none",
        ExpressionAttributeNames={"#key": installation.specs.table.indexes[0].partition_key},
        ExpressionAttributeValues={":none": {"S": NO_SUCH_DOCUMENT}},
        Limit=1,
    )
    return "read, write, query"


async def _refused(call: Awaitable[Any]) -> None:
    """Await a call that cannot succeed. Raise its error only if a permission or resource is missing."""
    try:
        await call
    except ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        missing = "NonExistentQueue" in code or code in ("NoSuchBucket", "ResourceNotFoundException")
        if code in DENIED or status >= 500 or missing:
            raise
