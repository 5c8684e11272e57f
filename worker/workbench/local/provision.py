"""Provisioning: creates the resources that `worker.aws.resources` defines, on an emulator or on AWS for a test.

It is idempotent. Existing resources that differ are changed to match the specs as far as AWS allows.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from yarl import URL

from worker.aws.resources import (
    BucketSpec,
    QueueSpec,
    ResourceSpecs,
    TableSpec,
    dead_letter_attributes,
    queue_attributes,
    queue_policy,
)

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_sqs import SQSClient

    from worker.aws.clients import Clients

TABLE_WAIT_S = 2


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    """The provisioned resources, by the names that the worker's settings use."""

    bucket: str
    queue_url: str
    dead_letter_url: str
    table: str


async def make(clients: "Clients", specs: ResourceSpecs, *, account: str, region: str) -> Provisioned:
    """Create bucket, queues and table in `account` and `region`; return their names and addresses."""
    queue_arn = f"arn:aws:sqs:{region}:{account}:{specs.queue.name}"
    bucket_arn = f"arn:aws:s3:::{specs.bucket.name}"
    policy = queue_policy(queue_arn=queue_arn, bucket_arn=bucket_arn, account_id=account)
    queue_url, dead_letter_url = await _queues(clients.sqs, specs.queue, policy=policy)
    await _table(clients.dynamodb, specs.table)
    # The bucket is last, because S3 sends a test event to the queue, which must exist and accept it.
    await _bucket(clients.s3, specs.bucket, queue_arn=queue_arn, region=region)
    return Provisioned(
        bucket=specs.bucket.name,
        queue_url=queue_url,
        dead_letter_url=dead_letter_url,
        table=specs.table.name,
    )


async def _queues(sqs: "SQSClient", queue: QueueSpec, *, policy: dict[str, Any]) -> tuple[str, str]:
    dead_letter_url = await _queue(sqs, queue.dead_letter_name, dead_letter_attributes(queue))
    answer = await sqs.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])
    attributes = queue_attributes(queue, dead_letter_arn=answer["Attributes"]["QueueArn"])
    queue_url = await _queue(sqs, queue.name, {**attributes, "Policy": json.dumps(policy)})
    return queue_url, dead_letter_url


async def _queue(sqs: "SQSClient", name: str, attributes: dict[str, str]) -> str:
    """Create a queue, or set the attributes of an existing one, which CreateQueue refuses to change."""
    try:
        url = _current_address(sqs, (await sqs.get_queue_url(QueueName=name))["QueueUrl"])
    except ClientError as error:
        if "NonExistentQueue" not in error.response["Error"]["Code"]:
            raise
        return (await sqs.create_queue(QueueName=name, Attributes=_untyped(attributes)))["QueueUrl"]
    await sqs.set_queue_attributes(QueueUrl=url, Attributes=_untyped(attributes))
    return url


def _current_address(sqs: "SQSClient", url: str) -> str:
    """Return a queue's URL with the client's address: an emulator's saved state has the port of the earlier run."""
    return str(URL(sqs.meta.endpoint_url).with_path(URL(url).path))


def _untyped(attributes: dict[str, str]) -> Any:
    """Return `attributes` without a type: the client's stubs demand literal names, which a dict cannot guarantee."""
    return attributes


async def _table(dynamodb: "DynamoDBClient", table: TableSpec) -> None:
    try:
        await dynamodb.create_table(**table.create_table_arguments())
    except dynamodb.exceptions.ResourceInUseException:
        pass  # it exists already
    else:
        waiter = dynamodb.get_waiter("table_exists")
        await waiter.wait(TableName=table.name, WaiterConfig={"Delay": TABLE_WAIT_S, "MaxAttempts": 60})
    found = await dynamodb.describe_time_to_live(TableName=table.name)
    if found["TimeToLiveDescription"].get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        await dynamodb.update_time_to_live(
            TableName=table.name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
        )


async def _bucket(s3: "S3Client", bucket: BucketSpec, *, queue_arn: str, region: str) -> None:
    try:
        await s3.create_bucket(Bucket=bucket.name, **_location(region))
    except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        await s3.head_bucket(Bucket=bucket.name)  # raises if it belongs to another account
    await s3.put_bucket_versioning(
        Bucket=bucket.name,
        VersioningConfiguration={"Status": "Enabled" if bucket.versioned else "Suspended"},
    )
    await s3.put_public_access_block(
        Bucket=bucket.name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    wanted: Any = {"QueueConfigurations": [{"Id": "receipts", "QueueArn": queue_arn, "Events": list(bucket.events)}]}
    found = await s3.get_bucket_notification_configuration(Bucket=bucket.name)
    if found.get("QueueConfigurations") != wanted["QueueConfigurations"]:
        await s3.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=wanted)


def _location(region: str) -> Any:
    """Return CreateBucket's location argument, which us-east-1 must not have.

    Source: docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html.
    """
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
