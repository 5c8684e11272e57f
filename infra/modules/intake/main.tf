# From an upload to a message: the bucket, its events, the work queue and its dead-letter queue.
# Names, attributes and policies match worker/aws/resources.py; tests/infra compares the two.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.region

  made       = var.existing_bucket == null
  bucket     = local.made ? aws_s3_bucket.uploads[0].id : var.existing_bucket
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"

  events  = ["s3:ObjectCreated:*"]
  filters = length(var.filters) == 0 ? [{ prefix = "", suffix = "" }] : var.filters

  own_prefix = "_receipts/" # the worker's own output, never a receipt
}

# ---- the bucket ----

resource "aws_s3_bucket" "uploads" {
  count         = local.made ? 1 : 0
  bucket        = coalesce(var.bucket_name, "${var.name}-${local.account_id}-${local.region}")
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "uploads" {
  count  = local.made ? 1 : 0
  bucket = local.bucket

  # Without versions, two simultaneous writes to one key may cause a single event.
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "uploads" {
  count  = local.made ? 1 : 0
  bucket = local.bucket

  rule {
    bucket_key_enabled = var.bucket_kms_key_arn != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.bucket_kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.bucket_kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "uploads" {
  count                   = local.made ? 1 : 0
  bucket                  = local.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "uploads" {
  count  = local.made ? 1 : 0
  bucket = local.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "uploads" {
  count  = local.made ? 1 : 0
  bucket = local.bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
  depends_on = [aws_s3_bucket_public_access_block.uploads]
}

resource "aws_s3_bucket_lifecycle_configuration" "uploads" {
  count  = local.made ? 1 : 0
  bucket = local.bucket

  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
    expiration {
      expired_object_delete_marker = var.expire_days == null ? true : null
      days                         = var.expire_days
    }
    dynamic "transition" {
      for_each = var.archive_days == null ? [] : [var.archive_days]
      content {
        days          = transition.value
        storage_class = "GLACIER_IR"
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.uploads]
}

# ---- the queues ----

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.name}-dead-letter"
  message_retention_seconds = var.retention_s
  sqs_managed_sse_enabled   = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id         = var.queue_kms_key_arn
}

resource "aws_sqs_queue" "work" {
  name                       = var.name
  visibility_timeout_seconds = var.visibility_timeout_s
  receive_wait_time_seconds  = var.receive_wait_s
  message_retention_seconds  = var.retention_s
  sqs_managed_sse_enabled    = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id          = var.queue_kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.work.arn]
  })
}

locals {
  # The only allowed sender, depending on `delivery`: this bucket, this rule or this topic, of this account.
  sender = {
    direct = {
      Sid       = "UploadsOfTheBucket"
      Principal = { Service = "s3.amazonaws.com" }
      Condition = {
        ArnEquals    = { "aws:SourceArn" = local.bucket_arn }
        StringEquals = { "aws:SourceAccount" = local.account_id }
      }
    }
    eventbridge = {
      Sid       = "UploadsByTheRule"
      Principal = { Service = "events.amazonaws.com" }
      Condition = {
        ArnEquals    = { "aws:SourceArn" = one(aws_cloudwatch_event_rule.uploads[*].arn) }
        StringEquals = { "aws:SourceAccount" = local.account_id }
      }
    }
    sns = {
      Sid       = "UploadsByTheTopic"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = {
        ArnEquals    = { "aws:SourceArn" = one(aws_sns_topic.uploads[*].arn) }
        StringEquals = { "aws:SourceAccount" = local.account_id }
      }
    }
  }
  tls_only = {
    Sid       = "OnlyOverTls"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }
}

resource "aws_sqs_queue_policy" "work" {
  queue_url = aws_sqs_queue.work.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(local.sender[var.delivery], {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.work.arn
      }),
      merge(local.tls_only, { Resource = aws_sqs_queue.work.arn }),
    ]
  })
}

resource "aws_sqs_queue_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for sender in [local.sender.eventbridge] : merge(sender, {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.dead_letter.arn
      }) if var.delivery == "eventbridge"],
      [merge(local.tls_only, { Resource = aws_sqs_queue.dead_letter.arn })],
    )
  })
}

# ---- the events ----

resource "aws_s3_bucket_notification" "uploads" {
  count       = var.manage_notification ? 1 : 0
  bucket      = local.bucket
  eventbridge = var.delivery == "eventbridge"

  dynamic "queue" {
    for_each = var.delivery == "direct" ? local.filters : []
    content {
      queue_arn     = aws_sqs_queue.work.arn
      events        = local.events
      filter_prefix = queue.value.prefix == "" ? null : queue.value.prefix
      filter_suffix = queue.value.suffix == "" ? null : queue.value.suffix
    }
  }

  dynamic "topic" {
    for_each = var.delivery == "sns" ? local.filters : []
    content {
      topic_arn     = aws_sns_topic.uploads[0].arn
      events        = local.events
      filter_prefix = topic.value.prefix == "" ? null : topic.value.prefix
      filter_suffix = topic.value.suffix == "" ? null : topic.value.suffix
    }
  }

  # S3 sends a test event when the notification is set, and rejects the notification if it may not send.
  depends_on = [aws_sqs_queue_policy.work, aws_sns_topic_policy.uploads]
}

resource "aws_cloudwatch_event_rule" "uploads" {
  count       = var.delivery == "eventbridge" ? 1 : 0
  name        = "${var.name}-uploads"
  description = "Uploads of ${local.bucket} go to the work queue."

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [local.bucket] }
      object = {
        key = concat(
          [for filter in var.filters : { wildcard = "${filter.prefix}*${filter.suffix}" }],
          [for prefix in [local.own_prefix] : { anything-but = { prefix = prefix } } if length(var.filters) == 0],
        )
      }
    }
  })
}

resource "aws_cloudwatch_event_target" "work" {
  count = var.delivery == "eventbridge" ? 1 : 0
  rule  = aws_cloudwatch_event_rule.uploads[0].name
  arn   = aws_sqs_queue.work.arn

  # EventBridge drops an event after a day of failed deliveries
  # (docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html).
  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }
  depends_on = [aws_sqs_queue_policy.work, aws_sqs_queue_policy.dead_letter]
}

resource "aws_sns_topic" "uploads" {
  count             = var.delivery == "sns" ? 1 : 0
  name              = "${var.name}-uploads"
  kms_master_key_id = var.queue_kms_key_arn
}

resource "aws_sns_topic_policy" "uploads" {
  count = var.delivery == "sns" ? 1 : 0
  arn   = aws_sns_topic.uploads[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "UploadsOfTheBucket"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.uploads[0].arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = local.bucket_arn }
        StringEquals = { "aws:SourceAccount" = local.account_id }
      }
    }]
  })
}

resource "aws_sns_topic_subscription" "work" {
  count                = var.delivery == "sns" ? 1 : 0
  topic_arn            = aws_sns_topic.uploads[0].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.work.arn
  raw_message_delivery = true
}
