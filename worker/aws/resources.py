"""What stands on AWS around the worker, defined once: bucket, queue, dead-letter queue, table and its indexes.

The embedded stack makes exactly this, `receipts doctor` looks for exactly this, and Terraform is held against it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

OWN_PREFIX = "_receipts/"
"""Keys under this prefix are the worker's own output (raw answers too large for the table), never receipts."""

STATUS_SHARDS = 8
"""A status alone as an index key is one hot partition of 1,000 write units a second: it is spread over this many."""

CONTENT_PREFIX = "sha256:"
"""Rows whose `document` starts so hold the answer for one content. A document starts with a bucket's name, which
cannot contain a colon (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html)."""


@dataclass(frozen=True, kw_only=True)
class QueueSpec:
    """The attributes of the work queue and its dead-letter queue."""

    name: str = "receipts"
    visibility_timeout_s: int = 120
    receive_wait_s: int = 20
    retention_s: int = 1_209_600
    """14 days, SQS's most, for both queues: time for people to mend what is broken."""
    max_receive_count: int = 10
    """A worker that is killed uses up a receive of all it holds, and a fleet may be killed again and again: so more
    than the usual five. Ten receives of a receipt that always fails take about 20 minutes by the backoff."""

    @property
    def dead_letter_name(self) -> str:
        """The dead-letter queue's name."""
        return f"{self.name}-dead-letter"


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """One global secondary index: its keys, and what it carries beside them."""

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
"""What every index carries beside its keys: what a list shows, but not the whole receipt nor its history.

Of attributes that are no keys DynamoDB projects at most 100, counted over all indexes
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html)."""


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """The results table: one row a document."""

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
        """Return the arguments of DynamoDB's CreateTable for this table, billed by request."""
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
    """Return DynamoDB's Projection of `index`: what a list shows, less the index's own keys."""
    if index.keys_only:
        return {"ProjectionType": "KEYS_ONLY"}
    own = {index.partition_key, index.sort_key}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": [name for name in LISTED if name not in own]}


@dataclass(frozen=True, kw_only=True)
class BucketSpec:
    """The bucket of uploads: versioned, private, with its events on the queue."""

    name: str = "receipts"
    events: tuple[str, ...] = ("s3:ObjectCreated:*",)
    versioned: bool = True
    """Without versions two writes at once to one key may give one event
    (docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html)."""


@dataclass(frozen=True, kw_only=True)
class ResourceSpecs:
    """Everything around the worker."""

    bucket: BucketSpec = field(default_factory=BucketSpec)
    queue: QueueSpec = field(default_factory=QueueSpec)
    table: TableSpec = field(default_factory=TableSpec)


def queue_attributes(queue: QueueSpec, *, dead_letter_arn: str) -> dict[str, str]:
    """Return SQS's attributes of the work queue, as CreateQueue takes them, without its access policy."""
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
    """Return SQS's attributes of the dead-letter queue."""
    return {"MessageRetentionPeriod": str(queue.retention_s), "SqsManagedSseEnabled": "true"}


def queue_policy(*, queue_arn: str, bucket_arn: str, account_id: str) -> dict[str, Any]:
    """Return the queue's access policy: this bucket of this account may send, nobody else, and only over TLS.

    The conditions are those of docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html.
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
