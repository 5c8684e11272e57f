variable "name" {
  description = "Name of the secret."
  type        = string
}

variable "rotation" {
  description = "Increase this to create a new token at the next apply. Then restart the service."
  type        = number
  default     = 1
}

variable "kms_key_arn" {
  description = "KMS key of the secret. Null uses the key of Secrets Manager."
  type        = string
  default     = null
}

variable "recovery_window_days" {
  description = "Days for which a deleted secret can be restored. 0 deletes it at once and frees its name."
  type        = number
  default     = 7
}
