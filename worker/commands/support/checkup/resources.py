"""Is everything there that a worker needs, as the specs has it? Each check changes nothing and costs nothing."""

import json
from typing import Any

from botocore.exceptions import ClientError

from worker.aws.resources import index_projection
from worker.commands.support.checkup.finding import Fault, Patient, demanded, given, queue_attributes
from worker.settings import PREFIX


async def region(patient: Patient) -> str:
    """Say which region is worked in."""
    if not patient.region:
        raise Fault("no region is set", "Set AWS_REGION, such as AWS_REGION=eu-central-1.")
    return patient.region


async def credentials(patient: Patient) -> str:
    """Say as whom, without the account's number."""
    answer = await patient.sts.get_caller_identity()
    return answer["Arn"].rpartition(":")[2]


async def bucket(patient: Patient) -> str:
    """Say that the bucket is there and keeps versions."""
    name = demanded(patient.settings, "bucket")
    await patient.clients.s3.head_bucket(Bucket=name)
    versioning = await patient.clients.s3.get_bucket_versioning(Bucket=name)
    if versioning.get("Status") != "Enabled":
        raise Fault(
            f"{name} keeps no versions: two uploads to one key at once may give one event",
            f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled",
        )
    return f"{name}, versioned"


async def notification(patient: Patient) -> str:
    """Say how the bucket tells the queue about uploads: itself or by EventBridge."""
    name, url = given(patient.settings, "bucket"), given(patient.settings, "queue_url")
    found = await patient.clients.s3.get_bucket_notification_configuration(Bucket=name)
    arn = (await queue_attributes(patient, url))["QueueArn"]
    for configuration in found.get("QueueConfigurations", []):
        created = any(event.startswith("s3:ObjectCreated") for event in configuration["Events"])
        if configuration["QueueArn"] == arn and created:
            return "ObjectCreated goes to the queue"
    if "EventBridgeConfiguration" in found:
        return "by EventBridge; whether a rule leads on to the queue is not checked"
    raise Fault(
        f"{name} tells the queue of no uploads",
        "Add a notification of s3:ObjectCreated:* to the queue: aws s3api put-bucket-notification-configuration",
    )


async def queue(patient: Patient) -> str:
    """Say how full the queue is, if it is there and lets S3 send."""
    attributes = await queue_attributes(patient, demanded(patient.settings, "queue_url"))
    statements = json.loads(attributes.get("Policy") or "{}").get("Statement", [])
    if not any(_lets_s3_send(statement) for statement in statements):
        raise Fault(
            "the queue's policy lets S3 send nothing",
            "Allow s3.amazonaws.com to sqs:SendMessage, on condition of the bucket's ARN and account.",
        )
    waiting, working = (attributes[f"ApproximateNumberOfMessages{kind}"] for kind in ("", "NotVisible"))
    return f"{attributes['QueueArn'].rpartition(':')[2]}: {waiting} waiting, {working} being worked on"


def _lets_s3_send(statement: dict[str, Any]) -> bool:
    principal, action = statement.get("Principal"), statement.get("Action")
    service = principal.get("Service") if isinstance(principal, dict) else principal
    services = service if isinstance(service, list) else [service]
    actions = {str(name).lower() for name in (action if isinstance(action, list) else [action])}
    sends = actions & {"sqs:sendmessage", "sqs:*", "*"}
    return statement.get("Effect") == "Allow" and bool(sends) and bool({"s3.amazonaws.com", "*"} & set(services))


async def redrive(patient: Patient) -> str:
    """Say where a message ends that fails again and again."""
    attributes = await queue_attributes(patient, given(patient.settings, "queue_url"))
    if not attributes.get("RedrivePolicy"):
        raise Fault(
            "the queue has no dead-letter queue: a message that nobody understands would come back for 14 days",
            f"Make one and set the queue's RedrivePolicy with maxReceiveCount {patient.specs.queue.max_receive_count}.",
        )
    policy = json.loads(attributes["RedrivePolicy"])
    name = policy["deadLetterTargetArn"].rpartition(":")[2]
    await patient.clients.sqs.get_queue_url(QueueName=name)
    receives, wanted = int(policy["maxReceiveCount"]), patient.settings.max_receive_count
    if wanted is not None and wanted != receives:
        raise Fault(
            f"{PREFIX}MAX_RECEIVE_COUNT is {wanted}, the queue's own is {receives}",
            f"Unset {PREFIX}MAX_RECEIVE_COUNT: the worker then reads the queue's.",
        )
    return f"after {receives} receives to {name}"


async def table(patient: Patient) -> str:
    """Say that the table is there, with the right key."""
    wanted = patient.specs.table
    description = await _table(patient)
    keys = [key["AttributeName"] for key in description["KeySchema"]]
    if keys != [wanted.partition_key]:
        raise Fault(f"its key is {', '.join(keys)}", f"Make it anew with the partition key `{wanted.partition_key}`.")
    return f"{patient.settings.table}, {description['TableStatus'].lower()}"


async def indexes(patient: Patient) -> str:
    """Name the indexes, if each has its keys and carries what a list shows."""
    there = {index["IndexName"]: index for index in (await _table(patient)).get("GlobalSecondaryIndexes", [])}
    for index in patient.specs.table.indexes:
        found = there.get(index.name)
        if found is None:
            raise Fault(f"{index.name} is missing", f"Add the index {index.name}, as infra/ does.")
        keys = [key["AttributeName"] for key in found["KeySchema"]]
        carried = set(found["Projection"].get("NonKeyAttributes", []))
        lacking = set(index_projection(index).get("NonKeyAttributes", [])) - carried
        if keys != [index.partition_key, index.sort_key]:
            raise Fault(f"{index.name} has the keys {', '.join(keys)}", "Delete the index and make it anew.")
        if lacking and found["Projection"]["ProjectionType"] != "ALL":
            raise Fault(f"{index.name} does not carry {', '.join(sorted(lacking))}", "Delete the index, make it anew.")
        if found["IndexStatus"] != "ACTIVE":
            raise Fault(f"{index.name} is {found['IndexStatus'].lower()}", "Wait until DynamoDB has filled it.")
    return ", ".join(index.name for index in patient.specs.table.indexes)


async def time_to_live(patient: Patient) -> str:
    """Say whether records expire, as the settings ask."""
    name = patient.settings.table
    found = (await patient.clients.dynamodb.describe_time_to_live(TableName=name))["TimeToLiveDescription"]
    on = found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    attribute = patient.specs.table.ttl_attribute
    if not on and patient.settings.expire_days:
        raise Fault(
            f"{PREFIX}EXPIRE_DAYS is set, but the table deletes nothing",
            f"aws dynamodb update-time-to-live --table-name {name} "
            f"--time-to-live-specification Enabled=true,AttributeName={attribute}",
        )
    return f"by {found['AttributeName']}" if on else "off, and no setting asks for it"


async def endpoint(patient: Patient) -> str:
    """Say that the endpoint's container answers: it refuses a body that no model takes, which costs nothing."""
    settings = patient.settings
    arguments: dict[str, Any] = {
        "TargetVariant": settings.target_variant,
        "TargetModel": settings.target_model,
        "InferenceComponentName": settings.inference_component,
    }
    name = demanded(settings, "endpoint")
    try:
        await patient.clients.sagemaker.invoke_endpoint(
            EndpointName=name,
            Body=b"?",
            ContentType="text/plain",
            **{key: value for key, value in arguments.items() if value},
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ThrottlingException":
            return f"{name} is busy: it throttles"
        if code != "ModelError":
            raise
        status = int(str(error.response.get("OriginalStatusCode", 0)))
        if status == 0 or status >= 502:
            raise Fault(f"{name} is there, its container does not answer ({status})", "Look into its log.") from error
    return f"{name} answers"


async def _table(patient: Patient) -> Any:
    return (await patient.clients.dynamodb.describe_table(TableName=patient.settings.table))["Table"]
