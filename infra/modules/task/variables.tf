variable "name" {
  description = "Prefix of the names of the roles and of the log group."
  type        = string
}

variable "service" {
  description = "Value of the dimension `Service` of the worker's metrics: the stack's name, so that stacks in one account are told apart."
  type        = string
}

variable "worker" {
  description = "The process works on the queue, and has the permissions that this needs."
  type        = bool
  default     = true
}

variable "console" {
  description = "The process serves the console and the API, and has the permissions that they need."
  type        = bool
  default     = false
}

variable "image" {
  description = "URI of the worker image, by tag or by digest. Where it is in ECR, the execution role may pull from that repository only."
  type        = string
}

variable "managed_execution_policy" {
  description = "Give the execution role AWS's AmazonECSTaskExecutionRolePolicy instead of the narrower one made here. ECS Express Mode writes to log groups that it names itself."
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
  description = "What the endpoint speaks: `image`, `chat` or `textract`."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster: a working task protects itself from scale-in there."
  type        = string
}

variable "kms_key_arns" {
  description = "KMS keys of the bucket, the queues and the table, which the task may use."
  type        = set(string)
  default     = []
}

variable "token_secret_arn" {
  description = "ARN of the secret that holds the console's token. Null where there is no console."
  type        = string
  default     = null
}

variable "token_kms_key_arns" {
  description = "KMS keys that the secret may be encrypted with, where it is not Secrets Manager's own."
  type        = set(string)
  default     = []
}

variable "stop_timeout_s" {
  description = "Time from SIGTERM to SIGKILL that ECS gives, seconds."
  type        = number
}

variable "visibility_timeout_s" {
  description = "The work queue's visibility timeout, seconds."
  type        = number
}

variable "receive_wait_s" {
  description = "The work queue's long poll, seconds."
  type        = number
}

variable "slots" {
  description = "Receipts that one task works on at a time."
  type        = number

  validation {
    condition     = var.slots >= 1 && var.slots <= 1000 && floor(var.slots) == var.slots
    error_message = "slots must be a whole number between 1 and 1000."
  }
}

variable "settings" {
  description = "Further settings of the worker, RECEIPTS_* to text; these win over what is set here. `receipts settings` lists them all."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "log_kms_key_arn" {
  description = "KMS key of the log group. Null leaves it to CloudWatch Logs."
  type        = string
  default     = null
}
