variable "name" {
  description = "Prefix of the names, and name of the endpoint."
  type        = string
}

variable "existing_endpoint" {
  description = "Name of an existing SageMaker endpoint in this account and region. If set, nothing is created."
  type        = string
  default     = null
}

variable "model" {
  description = <<-EOT
    The model to deploy, unless existing_endpoint is set.
    - image: URI of the container (SageMaker's contract: /ping and /invocations on 8080).
    - environment: its environment variables.
    - data_url: s3:// URL of model data, if the container needs it: an archive (.tar.gz), or a folder ending with `/`.
    - network_isolation: cut the container off from the network. Use false if it downloads its weights at the start.
    - instance_type: for example ml.c7i.xlarge for the embedded reader, ml.g6.2xlarge for a vLLM container.
    - min_instances, max_instances: bounds of the endpoint's scaling. Equal numbers switch scaling off.
    - concurrent_requests: target number of concurrent requests per instance.
    - startup_timeout_s: seconds until /ping must answer.
    - serverless: use instead of instances for a rarely called CPU model. SageMaker then accepts bodies up to 4 MB only.
  EOT
  type = object({
    image               = string
    environment         = optional(map(string), {})
    data_url            = optional(string)
    network_isolation   = optional(bool, true)
    instance_type       = optional(string, "ml.c7i.xlarge")
    min_instances       = optional(number, 1)
    max_instances       = optional(number, 4)
    concurrent_requests = optional(number, 2)
    startup_timeout_s   = optional(number, 600)
    serverless = optional(object({
      memory_mb       = optional(number, 4096)
      max_concurrency = optional(number, 20)
    }))
  })
  default = null

  validation {
    condition     = var.model == null || try(var.model.min_instances >= 1 && var.model.min_instances <= var.model.max_instances, false)
    error_message = "model: min_instances must be at least 1 and not more than max_instances."
  }
  validation {
    condition     = try(startswith(var.model.data_url, "s3://"), true)
    error_message = "model: data_url must start with s3://."
  }
  validation {
    condition     = var.model == null || try(var.model.concurrent_requests > 0, false)
    error_message = "model: concurrent_requests must be more than 0."
  }
}

variable "canary" {
  description = "A second variant, to try a new model on a share of the receipts. weight is relative to the first variant's 1: 0.1 sends it one eleventh of the calls."
  type = object({
    image             = string
    environment       = optional(map(string), {})
    data_url          = optional(string)
    network_isolation = optional(bool, true)
    instance_type     = optional(string, "ml.c7i.xlarge")
    instances         = optional(number, 1)
    weight            = optional(number, 0.1)
  })
  default = null

  validation {
    condition     = var.canary == null || (var.existing_endpoint == null && try(var.model.serverless, null) == null)
    error_message = "canary needs a model that is deployed here on instances, not an existing or serverless endpoint."
  }
  validation {
    condition     = try(var.canary.weight > 0 && var.canary.instances >= 1, var.canary == null)
    error_message = "canary: weight must be more than 0, instances at least 1."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the instances' volumes. Null uses SageMaker's own key. Instance types with NVMe volumes do not support one."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which the container's log is kept."
  type        = number
  default     = 30
}

variable "log_kms_key_arn" {
  description = "KMS key of the log group. Null uses the key of CloudWatch Logs."
  type        = string
  default     = null
}
