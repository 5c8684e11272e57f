variable "name" {
  description = "Prefix of the names of the roles and of the log group."
  type        = string
}

variable "service" {
  description = "Value of the dimension `Service` of the worker's metrics: the stack's name, which distinguishes stacks in one account."
  type        = string
}

variable "worker" {
  description = "Whether the process works on the queue and has the permissions for it."
  type        = bool
  default     = true
}

variable "console" {
  description = "Whether the process serves the console and the API, and has the permissions for them."
  type        = bool
  default     = false
}

variable "image" {
  description = "URI of the worker image, by tag or digest. If it is in ECR, the execution role may pull from that repository only."
  type        = string
}

variable "managed_execution_policy" {
  description = "Use AWS's AmazonECSTaskExecutionRolePolicy for the execution role instead of the narrower policy defined here. ECS Express Mode needs it, because it names its log groups itself."
  type        = bool
  default     = false
}

variable "bucket" {
  description = "Name of the bucket of uploads."
  type        = string
}

variable "bucket_arn" {
  description = "ARN of the bucket of uploads."
  type        = string
}

variable "queue_url" {
  description = "URL of the work queue."
  type        = string
}

variable "queue_arn" {
  description = "ARN of the work queue."
  type        = string
}

variable "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  type        = string
}

variable "table" {
  description = "Name of the results table."
  type        = string
}

variable "table_arn" {
  description = "ARN of the results table."
  type        = string
}

variable "endpoint" {
  description = "Name of the SageMaker endpoint."
  type        = string
}

variable "endpoint_arn" {
  description = "ARN of the SageMaker endpoint."
  type        = string
}

variable "protocol" {
  description = "Protocol of the endpoint: `image`, `chat` or `textract`."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster, in which a busy task protects itself from scale-in."
  type        = string
}

variable "kms_key_arns" {
  description = "KMS keys of the bucket, the queues and the table, which the task may use."
  type        = set(string)
  default     = []
}

variable "token_secret_arn" {
  description = "ARN of the secret with the console's token. Null without a console."
  type        = string
  default     = null
}

variable "token_kms_key_arns" {
  description = "KMS keys that may encrypt the secret, if it does not use the key of Secrets Manager."
  type        = set(string)
  default     = []
}

variable "stop_timeout_s" {
  description = "Seconds between SIGTERM and SIGKILL in ECS."
  type        = number
}

variable "visibility_timeout_s" {
  description = "Visibility timeout of the work queue, in seconds."
  type        = number
}

variable "receive_wait_s" {
  description = "Long-poll time of the work queue, in seconds."
  type        = number
}

variable "slots" {
  description = "Number of receipts that one task processes at a time."
  type        = number

  validation {
    condition     = var.slots >= 1 && var.slots <= 1000 && floor(var.slots) == var.slots
    error_message = "slots must be a whole number between 1 and 1000."
  }
}

variable "settings" {
  description = "Further settings of the worker: RECEIPTS_* to text. They override those set here. `receipts settings` lists them all."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
}

variable "log_kms_key_arn" {
  description = "KMS key of the log group. Null uses the key of CloudWatch Logs."
  type        = string
  default     = null
}
