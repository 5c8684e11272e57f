variable "name" {
  description = "Name of the secret."
  type        = string
}

variable "rotation" {
  description = "Count it up to make a new token at the next apply; then restart the service."
  type        = number
  default     = 1
}

variable "kms_key_arn" {
  description = "KMS key of the secret. Null leaves it to Secrets Manager's own."
  type        = string
  default     = null
}

variable "recovery_window_days" {
  description = "Days that a deleted secret can be brought back; 0 deletes it at once, so that its name is free again."
  type        = number
  default     = 7
}
