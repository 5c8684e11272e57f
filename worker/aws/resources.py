"""The AWS resources around the worker, defined once: bucket, queue, dead-letter queue, table and its indexes.

The embedded stack creates them, `receipts doctor` checks for them, and tests compare Terraform with them.
"""

import json
from dataclasses import dataclass, field
from typing import Any

OWN_PREFIX = "_receipts/"
"""Prefix of the worker's own output: raw answers too large for the table. Keys under it are never receipts."""

STATUS_SHARDS = 8
"""Partitions per status in the index `by_status`. One partition takes only 1,000 write units a second."""

CONTENT_PREFIX = "sha256:"
"""Prefix of the key of a content row. It cannot clash with a document, which starts with a bucket's name: those
cannot contain a colon (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html)."""


@dataclass(frozen=True, kw_only=True)
class QueueSpec:
    """The attributes of the work queue and its dead-letter queue."""

    name: str = "receipts"
    visibility_timeout_s: int = 120
    receive_wait_s: int = 20
    retention_s: int = 1_209_600
    """14 days, the maximum of SQS, for both queues. It leaves people time to repair a fault."""
    max_receive_count: int = 10
    """More than the usual five, because a killed worker uses up one receive of every message in flight, and a fleet may
    be killed repeatedly. With backoff, ten receives of a receipt that always fails take about 20 minutes."""

    @property
    def dead_letter_name(self) -> str:
        """Name of the dead-letter queue."""
        return f"{self.name}-dead-letter"


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """One global secondary index: its keys, and whether it projects further attributes."""

    name: str
    partition_key: str
    sort_key: str
    keys_only: bool = False


LISTED = (
    "status",
    "reason",
    "merchant",
    "merchant_key",
    "purchase_date",
    "total",
    "currency",
    "confidence",
    "checks",
    "model",
    "media_type",
    "pages",
    "content_sha256",
    "receipt_number",
    "payment",
    "uploaded_at",
    "stored_at",
    "possible_duplicate_of",
    "reviewed_at",
)
"""Attributes that every index projects: those that a list shows, without the whole receipt and its history.

DynamoDB projects at most 100 non-key attributes, counted over all indexes
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html)."""


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """The results table: one row per document, plus content rows and replay manifests."""

    name: str = "receipts"
    partition_key: str = "document"
    ttl_attribute: str = "expires_at"
    indexes: tuple[IndexSpec, ...] = (
        IndexSpec(name="by_status", partition_key="status_shard", sort_key="uploaded_at"),
        IndexSpec(name="by_purchase_date", partition_key="purchase_month", sort_key="purchase_day"),
        IndexSpec(name="by_merchant", partition_key="merchant_key", sort_key="purchase_day"),
        IndexSpec(name="by_content", partition_key="content_sha256", sort_key="uploaded_at"),
    )

    def create_table_arguments(self) -> dict[str, Any]:
        """Return the arguments of DynamoDB's CreateTable for this table, billed per request."""
        keys = {self.partition_key} | {key for index in self.indexes for key in (index.partition_key, index.sort_key)}
        return {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)],
            "KeySchema": [{"AttributeName": self.partition_key, "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": index.name,
                    "KeySchema": [
                        {"AttributeName": index.partition_key, "KeyType": "HASH"},
                        {"AttributeName": index.sort_key, "KeyType": "RANGE"},
                    ],
                    "Projection": index_projection(index),
                }
                for index in self.indexes
            ],
        }


def index_projection(index: IndexSpec) -> dict[str, Any]:
    """Return DynamoDB's Projection of `index`: the listed attributes, without the index's own keys."""
    if index.keys_only:
        return {"ProjectionType": "KEYS_ONLY"}
    own = {index.partition_key, index.sort_key}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": [name for name in LISTED if name not in own]}


@dataclass(frozen=True, kw_only=True)
class BucketSpec:
    """The bucket of uploads: versioned, private, with its events sent to the queue."""

    name: str = "receipts"
    events: tuple[str, ...] = ("s3:ObjectCreated:*",)
    versioned: bool = True
    """Without versions, two simultaneous writes to one key may cause a single event
    (docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html)."""


@dataclass(frozen=True, kw_only=True)
class ResourceSpecs:
    """The definitions of all resources."""

    bucket: BucketSpec = field(default_factory=BucketSpec)
    queue: QueueSpec = field(default_factory=QueueSpec)
    table: TableSpec = field(default_factory=TableSpec)


def queue_attributes(queue: QueueSpec, *, dead_letter_arn: str) -> dict[str, str]:
    """Return the SQS attributes of the work queue for CreateQueue, without its access policy."""
    return {
        "VisibilityTimeout": str(queue.visibility_timeout_s),
        "ReceiveMessageWaitTimeSeconds": str(queue.receive_wait_s),
        "MessageRetentionPeriod": str(queue.retention_s),
        "SqsManagedSseEnabled": "true",
        "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": queue.max_receive_count}, separators=(",", ":")
        ),
    }


def dead_letter_attributes(queue: QueueSpec) -> dict[str, str]:
    """Return the SQS attributes of the dead-letter queue for CreateQueue."""
    return {"MessageRetentionPeriod": str(queue.retention_s), "SqsManagedSseEnabled": "true"}


def queue_policy(*, queue_arn: str, bucket_arn: str, account_id: str) -> dict[str, Any]:
    """Return the queue's access policy: only this bucket of this account may send, and only over TLS.

    The conditions follow docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "UploadsOfTheBucket",
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {
                    "ArnEquals": {"aws:SourceArn": bucket_arn},
                    "StringEquals": {"aws:SourceAccount": account_id},
                },
            },
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": queue_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
