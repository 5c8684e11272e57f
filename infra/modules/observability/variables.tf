variable "name" {
  description = "Prefix of the names of the alarms, the dashboard and the topic."
  type        = string
}

variable "service" {
  description = "Value of the dimension `Service` of the worker's own metrics."
  type        = string
}

variable "queue_name" {
  description = "Name of the work queue."
  type        = string
}

variable "dead_letter_queue_name" {
  description = "Name of the dead-letter queue."
  type        = string
}

variable "table" {
  description = "Name of the results table."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster, with Container Insights."
  type        = string
}

variable "ecs_service" {
  description = "Name of the ECS service of the workers."
  type        = string
}

variable "endpoint" {
  description = "Name of the SageMaker endpoint."
  type        = string
}

variable "variants" {
  description = "Names of the endpoint's variants to watch."
  type        = set(string)
}

variable "emails" {
  description = "E-mail addresses that receive the alarms. Each must confirm AWS's message first; until then it receives none."
  type        = set(string)
  default     = []
}

variable "kms_key_arn" {
  description = "KMS key of the topic. Its key policy must allow cloudwatch.amazonaws.com. CloudWatch cannot use AWS's own key for SNS."
  type        = string
  default     = null
}

variable "thresholds" {
  description = <<-EOT
    Thresholds of the alarms.
    - oldest_message_s: age of the oldest waiting message, in seconds; `receipts scale plan` prints it.
    - failed_share: share of failed and dead-lettered receipts among all finished ones, over 15 minutes, 0 to 1.
    - throttled_share: share of throttled calls among all endpoint calls, over 15 minutes, 0 to 1.
    - breaker_open_min: minutes for which a breaker is open.
    - no_worker_min: minutes for which messages wait while no task runs. Starting from zero takes two or three.
    - silent_s: seconds since a worker last polled the queue.
    - endpoint_errors: 5xx answers of the model in 5 minutes.
    - endpoint_latency_s: 95th percentile of the model's latency, in seconds. SageMaker's limit is 60.
    - review_per_day: receipts that need a review per day. Set it to what your reviewers can handle.
  EOT
  type = object({
    oldest_message_s   = optional(number, 900)
    failed_share       = optional(number, 0.05)
    throttled_share    = optional(number, 0.1)
    breaker_open_min   = optional(number, 5)
    no_worker_min      = optional(number, 10)
    silent_s           = optional(number, 180)
    endpoint_errors    = optional(number, 10)
    endpoint_latency_s = optional(number, 45)
    review_per_day     = optional(number, 500)
  })
  default = {}

  validation {
    condition     = alltrue([for share in [var.thresholds.failed_share, var.thresholds.throttled_share] : share >= 0 && share < 1])
    error_message = "thresholds: failed_share and throttled_share must be at least 0 and less than 1."
  }
}
