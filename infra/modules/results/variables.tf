variable "name" {
  description = "Name of the table."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key of the table. Null uses DynamoDB's own key, which is free."
  type        = string
  default     = null
}

variable "point_in_time_recovery" {
  description = "Keep continuous backups of the last 35 days."
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = "Refuse to delete the table. Use false for a trial that you will destroy."
  type        = bool
  default     = true
}
