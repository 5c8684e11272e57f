variable "name" {
  description = "Prefix of every name. The work queue has exactly this name, its dead-letter queue this and `-dead-letter`."
  type        = string
}

variable "existing_bucket" {
  description = "Name of a bucket that you already have, in this account and region. Null makes one. Turn versioning on yourself: without it, two writes at once to one key may give one event."
  type        = string
  default     = null
}

variable "bucket_name" {
  description = "Name of the bucket that is made. Null names it NAME-ACCOUNT-REGION."
  type        = string
  default     = null
}

variable "bucket_kms_key_arn" {
  description = "KMS key of the bucket. Null leaves it to S3's own keys (SSE-S3). The task role gets the use of the key; its key policy must allow IAM to decide."
  type        = string
  default     = null
}

variable "queue_kms_key_arn" {
  description = "KMS key of both queues. Null leaves it to SQS's own keys (SSE-SQS). The key's policy must let the sender (s3, events or sns, by `delivery`) use kms:GenerateDataKey and kms:Decrypt."
  type        = string
  default     = null
}

variable "delivery" {
  description = "How an upload reaches the queue: `direct` (S3 to SQS), `eventbridge` (S3 to EventBridge to SQS; other rules can listen beside it) or `sns` (S3 to SNS to SQS; other subscribers can listen beside it)."
  type        = string
  default     = "direct"

  validation {
    condition     = contains(["direct", "eventbridge", "sns"], var.delivery)
    error_message = "delivery must be direct, eventbridge or sns."
  }
}

variable "filters" {
  description = "Which keys give an event: one entry a combination of prefix and suffix. An empty list means every key. Two entries must not match the same key: S3 refuses overlapping filters. Suffixes tell capitals from small letters."
  type = list(object({
    prefix = optional(string, "")
    suffix = optional(string, "")
  }))
  default = []

  validation {
    condition = var.delivery == "eventbridge" || length(flatten([
      for one, a in var.filters : [
        for two, b in var.filters : true
        if one < two && (startswith(a.prefix, b.prefix) || startswith(b.prefix, a.prefix)) && (endswith(a.suffix, b.suffix) || endswith(b.suffix, a.suffix))
      ]
    ])) == 0
    error_message = "Two filters match the same key, which S3 refuses: each pair must differ in prefix or suffix so that no key has both. EventBridge (delivery) takes such filters."
  }
}

variable "manage_notification" {
  description = "Set the bucket's notification. S3 keeps one notification configuration a bucket, so false when something else manages that of an existing bucket: output `notification` is what to add there."
  type        = bool
  default     = true
}

variable "visibility_timeout_s" {
  description = "Time that a received message is the worker's before it must be extended, seconds. The worker's RECEIPTS_VISIBILITY_S."
  type        = number
  default     = 120

  validation {
    condition     = var.visibility_timeout_s >= 30 && var.visibility_timeout_s <= 43200
    error_message = "visibility_timeout_s must be between 30 and 43200 seconds."
  }
}

variable "receive_wait_s" {
  description = "Long poll of ReceiveMessage, seconds."
  type        = number
  default     = 20

  validation {
    condition     = var.receive_wait_s >= 1 && var.receive_wait_s <= 20
    error_message = "receive_wait_s must be between 1 and 20 seconds."
  }
}

variable "retention_s" {
  description = "Time that both queues keep a message, seconds; 14 days is SQS's most."
  type        = number
  default     = 1209600

  validation {
    condition     = var.retention_s >= 60 && var.retention_s <= 1209600
    error_message = "retention_s must be between 60 and 1209600 seconds."
  }
}

variable "max_receive_count" {
  description = "Receives of one message before SQS moves it to the dead-letter queue."
  type        = number
  default     = 10

  validation {
    condition     = var.max_receive_count >= 1 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be between 1 and 1000."
  }
}

variable "archive_days" {
  description = "Days until an upload moves to S3 Glacier Instant Retrieval. Null keeps it where it is."
  type        = number
  default     = null

  validation {
    condition     = try(var.archive_days < var.expire_days, true)
    error_message = "archive_days must be less than expire_days."
  }
}

variable "expire_days" {
  description = "Days until an upload is deleted. Null keeps it for ever. The record stays; its own expiry is the worker's RECEIPTS_EXPIRE_DAYS."
  type        = number
  default     = null

  validation {
    condition     = try(var.expire_days >= 1, true)
    error_message = "expire_days must be at least 1."
  }
}

variable "noncurrent_days" {
  description = "Days until a replaced or deleted version of an upload is gone for good. Long enough for the longest time that a message can wait in the queue and the dead-letter queue."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days must be at least 1."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete the bucket with everything in it. For trials only."
  type        = bool
  default     = false
}
