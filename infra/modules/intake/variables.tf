variable "name" {
  description = "Prefix of every name. The work queue has exactly this name, and its dead-letter queue the suffix `-dead-letter`."
  type        = string
}

variable "existing_bucket" {
  description = "Name of an existing bucket in this account and region. Null creates one. Turn on its versioning: without it, two simultaneous writes to one key may cause a single event."
  type        = string
  default     = null
}

variable "bucket_name" {
  description = "Name of the bucket to create. Null: NAME-ACCOUNT-REGION."
  type        = string
  default     = null
}

variable "bucket_kms_key_arn" {
  description = "KMS key of the bucket. Null uses S3's own keys (SSE-S3). The task role may use the key, if the key policy lets IAM policies grant access."
  type        = string
  default     = null
}

variable "queue_kms_key_arn" {
  description = "KMS key of both queues. Null uses SQS's own keys (SSE-SQS). The key policy must allow the sender (s3, events or sns, depending on `delivery`) kms:GenerateDataKey and kms:Decrypt."
  type        = string
  default     = null
}

variable "delivery" {
  description = "Path of events from the bucket to the queue: `direct` (S3 to SQS), `eventbridge` (S3 to EventBridge to SQS, with room for other rules) or `sns` (S3 to SNS to SQS, with room for other subscribers)."
  type        = string
  default     = "direct"

  validation {
    condition     = contains(["direct", "eventbridge", "sns"], var.delivery)
    error_message = "delivery must be direct, eventbridge or sns."
  }
}

variable "filters" {
  description = "Which keys cause an event: each entry is a combination of prefix and suffix. An empty list means every key. Two entries must not match the same key, because S3 refuses overlapping filters. Suffixes are case-sensitive."
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
    error_message = "Two filters match the same key, which S3 refuses. Change their prefixes or suffixes so that no key matches both, or set delivery to eventbridge, which allows such filters."
  }
}

variable "manage_notification" {
  description = "Set the bucket's notification. A bucket has a single notification configuration, so use false if something else manages that of an existing bucket, and add the output `notification` there."
  type        = bool
  default     = true
}

variable "visibility_timeout_s" {
  description = "Seconds for which a received message belongs to the worker before it must extend the lease. Also sets RECEIPTS_VISIBILITY_S."
  type        = number
  default     = 120

  validation {
    condition     = var.visibility_timeout_s >= 30 && var.visibility_timeout_s <= 43200
    error_message = "visibility_timeout_s must be between 30 and 43200 seconds."
  }
}

variable "receive_wait_s" {
  description = "Long-poll time of ReceiveMessage, in seconds."
  type        = number
  default     = 20

  validation {
    condition     = var.receive_wait_s >= 1 && var.receive_wait_s <= 20
    error_message = "receive_wait_s must be between 1 and 20 seconds."
  }
}

variable "retention_s" {
  description = "Seconds for which both queues keep a message. The maximum of SQS is 14 days."
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
  description = "Days until an upload moves to S3 Glacier Instant Retrieval. Null: never."
  type        = number
  default     = null

  validation {
    condition     = try(var.archive_days < var.expire_days, true)
    error_message = "archive_days must be less than expire_days."
  }
}

variable "expire_days" {
  description = "Days until an upload is deleted. Null: never. The record stays; RECEIPTS_EXPIRE_DAYS of the worker sets its expiry."
  type        = number
  default     = null

  validation {
    condition     = try(var.expire_days >= 1, true)
    error_message = "expire_days must be at least 1."
  }
}

variable "noncurrent_days" {
  description = "Days until a replaced or deleted version of an upload is deleted permanently. Keep it longer than a message can wait in the queue and the dead-letter queue."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days must be at least 1."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete the bucket with all its objects. For trials only."
  type        = bool
  default     = false
}
