"""Checks of the resources that a worker needs, against their specs. They change nothing and cost nothing."""

import json
from typing import Any

from botocore.exceptions import ClientError

from worker.aws.resources import index_projection
from worker.commands.support.checkup.finding import Fault, Installation, demanded, given, queue_attributes
from worker.messages.queue import RedrivePolicy
from worker.settings import PREFIX


async def region(installation: Installation) -> str:
    """Return the region."""
    if not installation.region:
        raise Fault("no region is set", "Set AWS_REGION, such as AWS_REGION=eu-central-1.")
    return installation.region


async def credentials(installation: Installation) -> str:
    """Return the identity of the caller, without the account number."""
    answer = await installation.sts.get_caller_identity()
    return answer["Arn"].rpartition(":")[2]


async def bucket(installation: Installation) -> str:
    """Check that the bucket exists and keeps versions."""
    name = demanded(installation.settings, "bucket")
    await installation.clients.s3.head_bucket(Bucket=name)
    versioning = await installation.clients.s3.get_bucket_versioning(Bucket=name)
    if versioning.get("Status") != "Enabled":
        raise Fault(
            f"{name} does not keep versions, so two simultaneous uploads to one key may produce only one event",
            f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled",
        )
    return f"{name}, versioned"


async def notification(installation: Installation) -> str:
    """Return how the bucket notifies the queue of uploads: directly or through EventBridge."""
    name, url = given(installation.settings, "bucket"), given(installation.settings, "queue_url")
    found = await installation.clients.s3.get_bucket_notification_configuration(Bucket=name)
    arn = (await queue_attributes(installation, url))["QueueArn"]
    for configuration in found.get("QueueConfigurations", []):
        created = any(event.startswith("s3:ObjectCreated") for event in configuration["Events"])
        if configuration["QueueArn"] == arn and created:
            return "ObjectCreated goes to the queue"
    if "EventBridgeConfiguration" in found:
        return "through EventBridge; whether a rule forwards to the queue is not checked"
    raise Fault(
        f"{name} does not notify the queue of uploads",
        "Add a notification of s3:ObjectCreated:* to the queue: aws s3api put-bucket-notification-configuration",
    )


async def queue(installation: Installation) -> str:
    """Return how full the queue is. Check that it exists and lets S3 send."""
    attributes = await queue_attributes(installation, demanded(installation.settings, "queue_url"))
    statements = json.loads(attributes.get("Policy") or "{}").get("Statement", [])
    if not any(_lets_s3_send(statement) for statement in statements):
        raise Fault(
            "the queue's policy does not let S3 send messages",
            "Allow sqs:SendMessage for s3.amazonaws.com, with a condition on the bucket's ARN and account.",
        )
    waiting, working = (attributes[f"ApproximateNumberOfMessages{kind}"] for kind in ("", "NotVisible"))
    return f"{attributes['QueueArn'].rpartition(':')[2]}: {waiting} waiting, {working} in flight"


def _lets_s3_send(statement: dict[str, Any]) -> bool:
    principal, action = statement.get("Principal"), statement.get("Action")
    service = principal.get("Service") if isinstance(principal, dict) else principal
    services = service if isinstance(service, list) else [service]
    actions = {str(name).lower() for name in (action if isinstance(action, list) else [action])}
    sends = actions & {"sqs:sendmessage", "sqs:*", "*"}
    return statement.get("Effect") == "Allow" and bool(sends) and bool({"s3.amazonaws.com", "*"} & set(services))


async def redrive(installation: Installation) -> str:
    """Return the dead-letter queue of messages that always fail, and after how many receives they go there."""
    attributes = await queue_attributes(installation, given(installation.settings, "queue_url"))
    policy = RedrivePolicy.parse(attributes.get("RedrivePolicy"))
    if policy.dead_letter_arn is None:
        raise Fault(
            "the queue has no dead-letter queue, so a malformed message would be received again for 14 days",
            "Create one and set the queue's RedrivePolicy with maxReceiveCount "
            f"{installation.specs.queue.max_receive_count}.",
        )
    name = policy.dead_letter_arn.rpartition(":")[2]
    await policy.dead_letter_url(installation.clients.sqs)
    receives, wanted = policy.max_receive_count, installation.settings.max_receive_count
    if wanted is not None and wanted != receives:
        raise Fault(
            f"{PREFIX}MAX_RECEIVE_COUNT is {wanted}, but the queue's maxReceiveCount is {receives}",
            f"Unset {PREFIX}MAX_RECEIVE_COUNT: the worker then uses the queue's value.",
        )
    return f"to {name} after {receives} receives"


async def table(installation: Installation) -> str:
    """Check that the table exists and has the right key."""
    wanted = installation.specs.table
    description = await _table(installation)
    keys = [key["AttributeName"] for key in description["KeySchema"]]
    if keys != [wanted.partition_key]:
        raise Fault(
            f"its key is {', '.join(keys)}", f"Create a new table with the partition key `{wanted.partition_key}`."
        )
    return f"{installation.settings.table}, {description['TableStatus'].lower()}"


async def indexes(installation: Installation) -> str:
    """Return the names of the indexes. Check that each has its keys and projects the attributes that a list shows."""
    there = {index["IndexName"]: index for index in (await _table(installation)).get("GlobalSecondaryIndexes", [])}
    for index in installation.specs.table.indexes:
        found = there.get(index.name)
        if found is None:
            raise Fault(f"{index.name} is missing", f"Add the index {index.name}, as infra/ does.")
        keys = [key["AttributeName"] for key in found["KeySchema"]]
        carried = set(found["Projection"].get("NonKeyAttributes", []))
        lacking = set(index_projection(index).get("NonKeyAttributes", [])) - carried
        if keys != [index.partition_key, index.sort_key]:
            raise Fault(f"{index.name} has the keys {', '.join(keys)}", "Delete the index and create it again.")
        if lacking and found["Projection"]["ProjectionType"] != "ALL":
            raise Fault(
                f"{index.name} does not project {', '.join(sorted(lacking))}", "Delete the index and create it again."
            )
        if found["IndexStatus"] != "ACTIVE":
            raise Fault(f"{index.name} is {found['IndexStatus'].lower()}", "Wait until DynamoDB has filled it.")
    return ", ".join(index.name for index in installation.specs.table.indexes)


async def time_to_live(installation: Installation) -> str:
    """Return whether records expire. Check that they do if the settings ask for it."""
    name = installation.settings.table
    found = (await installation.clients.dynamodb.describe_time_to_live(TableName=name))["TimeToLiveDescription"]
    on = found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    attribute = installation.specs.table.ttl_attribute
    if not on and installation.settings.expire_days:
        raise Fault(
            f"{PREFIX}EXPIRE_DAYS is set, but the table does not delete expired records",
            f"aws dynamodb update-time-to-live --table-name {name} "
            f"--time-to-live-specification Enabled=true,AttributeName={attribute}",
        )
    return f"by {found['AttributeName']}" if on else f"off, as {PREFIX}EXPIRE_DAYS is not set"


async def endpoint(installation: Installation) -> str:
    """Check that the endpoint's container answers, with an invalid body that it refuses without running the model."""
    settings = installation.settings
    arguments: dict[str, Any] = {
        "TargetVariant": settings.target_variant,
        "TargetModel": settings.target_model,
        "InferenceComponentName": settings.inference_component,
    }
    name = demanded(settings, "endpoint")
    try:
        await installation.clients.sagemaker.invoke_endpoint(
            EndpointName=name,
            Body=b"?",
            ContentType="text/plain",
            **{key: value for key, value in arguments.items() if value},
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ThrottlingException":
            return f"{name} answers, but throttles"
        if code != "ModelError":
            raise
        status = int(str(error.response.get("OriginalStatusCode", 0)))
        if status == 0 or status >= 502:
            raise Fault(
                f"{name} exists, but its container does not answer ({status})", "Read the container's log."
            ) from error
    return f"{name} answers"


async def _table(installation: Installation) -> Any:
    return (await installation.clients.dynamodb.describe_table(TableName=installation.settings.table))["Table"]
