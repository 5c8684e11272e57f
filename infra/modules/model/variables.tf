variable "name" {
  description = "Prefix of the names, and the name of the endpoint."
  type        = string
}

variable "existing_endpoint" {
  description = "Name of a SageMaker endpoint that you already have, in this account and region. Nothing is made then."
  type        = string
  default     = null
}

variable "model" {
  description = <<-EOT
    The model to deploy, where there is no existing endpoint.
    - image: URI of the container (SageMaker's contract: /ping and /invocations on 8080).
    - environment: its environment variables.
    - data_url: s3:// URL of model data, where the container wants some: an archive (.tar.gz), or a folder ending in `/`.
    - network_isolation: let the container reach nothing. false for one that downloads its weights when it starts.
    - instance_type: such as ml.c7i.xlarge for the embedded reader, ml.g6.2xlarge for a vLLM container.
    - min_instances, max_instances: bounds of its own scaling; equal numbers fix it.
    - concurrent_requests: requests at a time that one instance serves well; its scaling holds it there.
    - startup_timeout_s: time that the container gets until /ping answers.
    - serverless: instead of instances, for a model on CPU that is called seldom. SageMaker then takes bodies of 4 MB only.
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
    error_message = "model: data_url must begin with s3://."
  }
  validation {
    condition     = var.model == null || try(var.model.concurrent_requests > 0, false)
    error_message = "model: concurrent_requests must be more than 0."
  }
}

variable "canary" {
  description = "A second variant beside the first, to try a new model on a share of the receipts. weight is against the first variant's 1: 0.1 sends it an eleventh of the calls."
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
    error_message = "A canary stands beside a model on instances that is deployed here: not beside an endpoint that you have, nor a serverless one."
  }
  validation {
    condition     = try(var.canary.weight > 0 && var.canary.instances >= 1, var.canary == null)
    error_message = "canary: weight must be more than 0, instances at least 1."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the instances' volumes. Null leaves it to SageMaker; instance types with NVMe volumes take none."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days that the container's log is kept."
  type        = number
  default     = 30
}

variable "log_kms_key_arn" {
  description = "KMS key of the log group. Null leaves it to CloudWatch Logs."
  type        = string
  default     = null
}
