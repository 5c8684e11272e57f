variable "name" {
  description = "Name of the table."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key of the table. Null leaves it to DynamoDB's own key, which costs nothing."
  type        = string
  default     = null
}

variable "point_in_time_recovery" {
  description = "Keep 35 days of continuous backups."
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = "Refuse to delete the table. For a trial that is destroyed afterwards: false."
  type        = bool
  default     = true
}
