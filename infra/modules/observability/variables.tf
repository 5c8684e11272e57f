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
  description = "Name of the ECS service that works."
  type        = string
}

variable "endpoint" {
  description = "Name of the SageMaker endpoint."
  type        = string
}

variable "variants" {
  description = "Names of the endpoint's variants that are watched."
  type        = set(string)
}

variable "emails" {
  description = "Addresses that get the alarms; each must confirm the message that AWS sends it. An alarm that nobody gets is none."
  type        = set(string)
  default     = []
}

variable "kms_key_arn" {
  description = "KMS key of the topic. Its key policy must let cloudwatch.amazonaws.com use it; CloudWatch cannot use AWS's own key of SNS."
  type        = string
  default     = null
}

variable "thresholds" {
  description = <<-EOT
    When the alarms go off.
    - oldest_message_s: age of the oldest waiting message, seconds; `receipts scale plan` prints it.
    - failed_share: failed and dead-lettered receipts of all that ended, over 15 minutes, 0 to 1.
    - throttled_share: throttled calls of all calls to the endpoint, over 15 minutes, 0 to 1.
    - breaker_open_min: minutes that a breaker stays open.
    - no_worker_min: minutes that messages wait while no task runs; starting from zero takes two or three.
    - silent_s: seconds since a worker last asked the queue.
    - endpoint_errors: answers with a 5xx from the model in 5 minutes.
    - endpoint_latency_s: 95th percentile of the model's own time, seconds; SageMaker gives up at 60.
    - review_per_day: receipts that go to review in a day; more than your people can look at.
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
    error_message = "thresholds: failed_share and throttled_share are shares, at least 0 and less than 1."
  }
}
