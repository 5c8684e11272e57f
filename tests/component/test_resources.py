"""The provisioned resources match their specs and work together."""

import json
from typing import TYPE_CHECKING

import pytest

from worker.messages.parse import parse
from worker.messages.queue import open_queue
from worker.workbench.local import environment, provision

if TYPE_CHECKING:
    from tests.component.emulators import Aws


async def _received(aws: "Aws") -> list[str]:
    answer = await aws.clients.sqs.receive_message(
        QueueUrl=aws.resources.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=2
    )
    return [message["Body"] for message in answer.get("Messages", [])]


async def test_an_upload_arrives_on_the_queue(aws: "Aws") -> None:
    """An object put into the bucket becomes a message that the worker parses as that upload."""
    key = "2026/ein Beleg+öäü.jpg"
    await aws.clients.s3.put_object(Bucket=aws.resources.bucket, Key=key, Body=b"x")
    uploads = [upload for body in await _received(aws) for upload in parse(body).uploads]
    assert [(upload.bucket, upload.key) for upload in uploads] == [(aws.resources.bucket, key)]


async def test_provisioning_again_changes_nothing(aws: "Aws") -> None:
    """A second run keeps the resources and their objects."""
    await aws.clients.s3.put_object(Bucket=aws.resources.bucket, Key="kept", Body=b"x")
    again = await provision.make(aws.clients, aws.specs, account=aws.emulator.account, region=environment.REGION)
    assert again == aws.resources
    assert (await aws.clients.s3.head_object(Bucket=aws.resources.bucket, Key="kept"))["ContentLength"] == 1


async def test_a_message_received_too_often_goes_to_the_dead_letter_queue(aws: "Aws") -> None:
    """The queue's redrive policy names the dead-letter queue and the specs' number of receives."""
    answer = await aws.clients.sqs.get_queue_attributes(
        QueueUrl=aws.resources.queue_url, AttributeNames=["RedrivePolicy", "VisibilityTimeout"]
    )
    redrive = json.loads(answer["Attributes"]["RedrivePolicy"])
    assert int(redrive["maxReceiveCount"]) == aws.specs.queue.max_receive_count
    assert redrive["deadLetterTargetArn"].endswith(f":{aws.specs.queue.dead_letter_name}")
    assert answer["Attributes"]["VisibilityTimeout"] == "120"


@pytest.mark.parametrize(("wish", "most"), [(None, 10), (3, 3), (100, 10)])
async def test_a_worker_knows_which_receive_is_the_last(aws: "Aws", wish: int | None, most: int) -> None:
    """The last receive follows the queue's policy; a setting can only lower it."""
    queue = await open_queue(aws.clients.sqs, aws.resources.queue_url, max_receive_count=wish)
    assert (queue.max_receive_count, queue.dead_letter_url) == (most, aws.resources.dead_letter_url)


async def test_the_table_has_its_indexes_and_its_time_to_live(aws: "Aws") -> None:
    """Each index of the specs exists with its keys, and DynamoDB deletes by the specs' attribute."""
    description = (await aws.clients.dynamodb.describe_table(TableName=aws.resources.table))["Table"]
    found = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in description["GlobalSecondaryIndexes"]
    }
    assert found == {index.name: [index.partition_key, index.sort_key] for index in aws.specs.table.indexes}
    ttl = await aws.clients.dynamodb.describe_time_to_live(TableName=aws.resources.table)
    assert ttl["TimeToLiveDescription"]["AttributeName"] == aws.specs.table.ttl_attribute


async def test_an_object_keeps_its_versions(aws: "Aws") -> None:
    """Two uploads to one key are two versions, and both can be fetched."""
    versions = [
        (await aws.clients.s3.put_object(Bucket=aws.resources.bucket, Key="twice", Body=body))["VersionId"]
        for body in (b"first", b"second")
    ]
    bodies = [
        await (await aws.clients.s3.get_object(Bucket=aws.resources.bucket, Key="twice", VersionId=version))[
            "Body"
        ].read()
        for version in versions
    ]
    assert bodies == [b"first", b"second"]
