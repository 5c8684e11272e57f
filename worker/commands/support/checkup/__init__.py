"""What `receipts doctor` looks at, in the order in which it makes sense to mend it."""

from collections.abc import AsyncIterator

from botocore.exceptions import BotoCoreError, ClientError

from worker.commands.support.checkup import permissions, resources
from worker.commands.support.checkup.finding import Check, Fault, Finding, Patient, Skipped
from worker.commands.support.error_messages import explain, nobody_answered
from worker.settings import PREFIX

CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("region", resources.region, "Set AWS_REGION."),
    ("credentials", resources.credentials, "Sign in with `aws sso login`, or set AWS_PROFILE or the task's role."),
    ("bucket", resources.bucket, f"Check the name in {PREFIX}BUCKET and allow s3:ListBucket, s3:GetBucketVersioning."),
    ("notification", resources.notification, "Allow s3:GetBucketNotification, or look for yourself."),
    ("queue", resources.queue, f"Check {PREFIX}QUEUE_URL and allow sqs:GetQueueAttributes."),
    (
        "redrive policy",
        resources.redrive,
        "Make the dead-letter queue that the policy names, and allow sqs:GetQueueUrl.",
    ),
    ("table", resources.table, f"Check the name in {PREFIX}TABLE and allow dynamodb:DescribeTable."),
    ("indexes", resources.indexes, "Allow dynamodb:DescribeTable."),
    ("time to live", resources.time_to_live, "Allow dynamodb:DescribeTimeToLive, or look for yourself."),
    ("endpoint", resources.endpoint, f"Check {PREFIX}ENDPOINT and its region, and allow sagemaker:InvokeEndpoint."),
    (
        "permission: queue",
        permissions.may_take_messages,
        "Allow sqs:ReceiveMessage, sqs:ChangeMessageVisibility and sqs:DeleteMessage on the queue.",
    ),
    (
        "permission: bucket",
        permissions.may_fetch,
        "Allow s3:GetObject and s3:GetObjectVersion on the bucket's objects and s3:ListBucket on the bucket.",
    ),
    (
        "permission: table",
        permissions.may_store,
        "Allow dynamodb:GetItem, BatchGetItem, PutItem, DeleteItem and Query on the table and its indexes.",
    ),
)

NO_ANSWER = (
    "Is it the right address, and does it run? AWS_ENDPOINT_URL variables and `endpoint_url` in the AWS configuration "
    "name another; else look at the network, proxy and VPC endpoints."
)
"""The cure where nothing answers, whatever was asked for."""


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Yield one finding a check; without region or credentials there is no point in going on."""
    for name, check, cure in CHECKS:
        finding = await _finding(patient, name, check, cure)
        yield finding
        if finding.status == "failed" and name in ("region", "credentials"):
            return


async def _finding(patient: Patient, name: str, check: Check, cure: str) -> Finding:
    try:
        return Finding(check=name, status="ok", detail=await check(patient))
    except Fault as fault:
        return Finding(check=name, status="failed", detail=fault.detail, cure=fault.cure)
    except Skipped as skipped:
        return Finding(check=name, status="skipped", detail=str(skipped))
    except (ClientError, BotoCoreError) as error:
        found = explain(error)
        return Finding(
            check=name,
            status="failed",
            detail=found.sentence if found else type(error).__name__,
            cure=NO_ANSWER if nobody_answered(error) else cure,
        )
