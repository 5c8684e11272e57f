"""May it be used? A permission is tried with a call that is refused for another reason where it is allowed.

Such a reason is a condition that cannot hold, a handle that is none, an object that is not there.
"""

from collections.abc import Awaitable
from typing import Any

from botocore.exceptions import ClientError

from worker.aws.resources import CONTENT_PREFIX, OWN_PREFIX
from worker.commands.support.checkup.finding import Patient, given, queue_attributes

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AccessDeniedFault", "403", "UnauthorizedOperation"})
NO_SUCH_KEY = f"{OWN_PREFIX}doctor/no-such-object"
NO_SUCH_DOCUMENT = f"{CONTENT_PREFIX}doctor"
NO_MESSAGE = "doctor: this is no receipt handle"


async def may_take_messages(patient: Patient) -> str:
    """Try to extend and delete messages; try to receive only where that can hold up nothing."""
    url, sqs = given(patient.settings, "queue_url"), patient.clients.sqs
    await _refused(sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=NO_MESSAGE, VisibilityTimeout=0))
    await _refused(sqs.delete_message(QueueUrl=url, ReceiptHandle=NO_MESSAGE))
    if (await queue_attributes(patient, url))["ApproximateNumberOfMessages"] != "0":
        return "extend, delete; receive was not tried, since messages wait"
    await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=0, VisibilityTimeout=0)
    return "receive, extend, delete"


async def may_fetch(patient: Patient) -> str:
    """Try to fetch an upload: what is not there must be told from what is not allowed."""
    name = given(patient.settings, "bucket")
    await _refused(patient.clients.s3.get_object(Bucket=name, Key=NO_SUCH_KEY))
    return "get objects, tell missing ones"


async def may_store(patient: Patient) -> str:
    """Try to read, write and query records."""
    dynamodb, name = patient.clients.dynamodb, patient.settings.table
    key: Any = {"document": {"S": NO_SUCH_DOCUMENT}}
    await dynamodb.get_item(TableName=name, Key=key)
    await dynamodb.batch_get_item(RequestItems={name: {"Keys": [key]}})
    never = "attribute_exists(document)"
    await _refused(dynamodb.put_item(TableName=name, Item=key, ConditionExpression=never))
    await _refused(dynamodb.delete_item(TableName=name, Key=key, ConditionExpression=never))
    await dynamodb.query(
        TableName=name,
        IndexName=patient.specs.table.indexes[0].name,
        KeyConditionExpression="#key = :none",
        ExpressionAttributeNames={"#key": patient.specs.table.indexes[0].partition_key},
        ExpressionAttributeValues={":none": {"S": NO_SUCH_DOCUMENT}},
        Limit=1,
    )
    return "read, write, query"


async def _refused(call: Awaitable[Any]) -> None:
    """Await a call that cannot succeed; it raises only where the reason is a missing permission or resource."""
    try:
        await call
    except ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        missing = "NonExistentQueue" in code or code in ("NoSuchBucket", "ResourceNotFoundException")
        if code in DENIED or status >= 500 or missing:
            raise
