"""The checks of `receipts doctor`, in the order in which to fix their failures."""

from collections.abc import AsyncIterator

from botocore.exceptions import BotoCoreError, ClientError

from worker.commands.support.checkup import permissions, resources
from worker.commands.support.checkup.finding import Check, Fault, Finding, Installation, Skipped
from worker.commands.support.error_messages import explain, is_unreachable
from worker.settings import PREFIX

CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("region", resources.region, "Set AWS_REGION."),
    ("credentials", resources.credentials, "Sign in with `aws sso login`, or set AWS_PROFILE or the task's role."),
    ("bucket", resources.bucket, f"Check the name in {PREFIX}BUCKET and allow s3:ListBucket, s3:GetBucketVersioning."),
    ("notification", resources.notification, "Allow s3:GetBucketNotification, or check the notification yourself."),
    ("queue", resources.queue, f"Check {PREFIX}QUEUE_URL and allow sqs:GetQueueAttributes."),
    (
        "redrive policy",
        resources.redrive,
        "Create the dead-letter queue that the policy names, and allow sqs:GetQueueUrl.",
    ),
    ("table", resources.table, f"Check the name in {PREFIX}TABLE and allow dynamodb:DescribeTable."),
    ("indexes", resources.indexes, "Allow dynamodb:DescribeTable."),
    ("time to live", resources.time_to_live, "Allow dynamodb:DescribeTimeToLive, or check it yourself."),
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

UNREACHABLE = (
    "Check that the address is right and the service runs. AWS_ENDPOINT_URL variables and `endpoint_url` in the AWS "
    "configuration override addresses. If they are right, check the network, proxy and VPC endpoints."
)
"""The cure if nothing answers at an address."""


async def examine(installation: Installation) -> AsyncIterator[Finding]:
    """Yield one finding per check. Stop if region or credentials are missing, because all later checks need them."""
    for name, check, cure in CHECKS:
        finding = await _finding(installation, name, check, cure)
        yield finding
        if finding.status == "failed" and name in ("region", "credentials"):
            return


async def _finding(installation: Installation, name: str, check: Check, cure: str) -> Finding:
    try:
        return Finding(check=name, status="ok", detail=await check(installation))
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
            cure=UNREACHABLE if is_unreachable(error) else cure,
        )
