# ---- required ----

variable "region" {
  description = "AWS region, for example eu-central-1."
  type        = string
}

variable "image" {
  description = "URI of the worker image, for example 123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0."
  type        = string

  validation {
    condition     = can(regex("^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?[:@]\\S+$", var.image))
    error_message = "image must be the URI of an image with a tag or digest."
  }
}

variable "endpoint" {
  description = "Name of an existing SageMaker endpoint. Null deploys `model`."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint == null || can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", var.endpoint))
    error_message = "endpoint must be the name of an endpoint, not its ARN or URL."
  }
}

variable "model" {
  description = "The model to deploy if `endpoint` is null. Needs at least {image = URI of the model image}; see modules/model."
  type        = any
  default     = null

  validation {
    condition     = (var.model == null) != (var.endpoint == null)
    error_message = "Set either endpoint (an existing one) or model (one to deploy)."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.model), []), ["image", "environment", "data_url", "network_isolation", "instance_type", "min_instances", "max_instances", "concurrent_requests", "startup_timeout_s", "serverless"])) == 0
    error_message = "model has an unknown attribute; see modules/model for the attributes."
  }
}

# ---- optional ----

variable "name" {
  description = "Prefix of every name. Each stack in one account needs its own."
  type        = string
  default     = "receipts"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lowercase letters, digits and hyphens, and start with a letter."
  }

  validation {
    condition     = !startswith(var.name, "internal-") && !can(regex("-(worker|console|dead-letter)$", var.name))
    error_message = "name must not start with internal- (load balancers may not) and must not end with -worker, -console or -dead-letter (names of another stack's parts)."
  }
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}

variable "protocol" {
  description = "Protocol of the endpoint: `image` (the embedded reader), `chat` (vLLM, LMI, TGI) or `textract`."
  type        = string
  default     = "image"

  validation {
    condition     = contains(["image", "chat", "textract"], var.protocol)
    error_message = "protocol must be image, chat or textract."
  }
}

variable "endpoint_variants" {
  description = "Variants of an existing endpoint to watch with alarms."
  type        = set(string)
  default     = ["AllTraffic"]
}

variable "settings" {
  description = "Further settings of the worker: RECEIPTS_* to text. `receipts settings` lists them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "RECEIPTS_")])
    error_message = "Every name in settings must start with RECEIPTS_."
  }
}

variable "bucket" {
  description = "Name of an existing bucket. Null creates one."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be the name of a bucket, without s3://."
  }
}

variable "manage_notification" {
  description = "Set the bucket's notification. Use false if something else manages that of an existing bucket; add the output `notification` there."
  type        = bool
  default     = true
}

variable "filters" {
  description = "Which keys are receipts, by prefix and suffix. Empty: all keys."
  type        = list(object({ prefix = optional(string, ""), suffix = optional(string, "") }))
  default     = []
}

variable "retention" {
  description = "How long a bucket created here keeps uploads; see modules/intake. By default, uploads never expire, and replaced versions expire after 30 days."
  type = object({
    archive_days    = optional(number)
    expire_days     = optional(number)
    noncurrent_days = optional(number, 30)
  })
  default = {}
}

variable "delivery" {
  description = "Path of events from the bucket to the queue: `direct`, `eventbridge` or `sns`."
  type        = string
  default     = "direct"
}

variable "subnets" {
  description = "Subnets of the service. Use public ones for a console on the internet. Empty: the subnets of the default VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.subnets) != 1
    error_message = "subnets must be in at least two zones, because Express Mode's load balancer needs two."
  }
}

variable "security_groups" {
  description = "Further security groups of the tasks, in addition to the one that Express Mode creates."
  type        = list(string)
  default     = []
}

variable "cpu" {
  description = "CPU units of a task. 1024 units are one vCPU."
  type        = number
  default     = 512
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
  default     = 1024

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu) && var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu && (var.memory == 512 || var.memory % 1024 == 0)
    error_message = "Fargate does not offer this task size: cpu must be 256, 512, 1024, 2048, 4096, 8192 or 16384, and memory (MiB) 512 or a whole number of GiB from twice to eight times cpu."
  }
}

variable "slots" {
  description = "Number of receipts that one task processes at a time."
  type        = number
  default     = 32
}

variable "scaling_policy" {
  description = "`steps` (recommended in docs/scaling.md), or `target_tracking` on the backlog per task with an additional step from zero."
  type        = string
  default     = "steps"

  validation {
    condition     = contains(["steps", "target_tracking"], var.scaling_policy)
    error_message = "scaling_policy must be steps or target_tracking."
  }
}

variable "scaling" {
  description = "The fleet's numbers, as printed by `receipts scale plan --min-tasks 1 --tfvars`. The defaults are those of the command: 4 s per receipt, 32 slots, 60 s of acceptable latency."
  type = object({
    min_tasks              = optional(number, 1)
    max_tasks              = optional(number, 10)
    backlog_per_task       = optional(number, 384)
    in_flight_weight       = optional(number, 15)
    scale_out_data_points  = optional(number, 1)
    scale_in_data_points   = optional(number, 5)
    cooldown_s             = optional(number, 120)
    oldest_message_alarm_s = optional(number, 300)
    steps = optional(list(object({
      from_tasks = number
      to_tasks   = optional(number)
      tasks      = number
    })))
    tasks_metric     = optional(string)
    shortfall_metric = optional(string)
    surplus_metric   = optional(string)
    backlog_metric   = optional(string)
  })
  default = {}

  validation {
    condition     = var.scaling.min_tasks >= 1 && var.scaling.min_tasks <= var.scaling.max_tasks
    error_message = "scaling.min_tasks must be between 1 and max_tasks, because Express Mode needs a task behind its load balancer. To scale to zero, use custom/."
  }

  validation {
    condition     = var.scaling.max_tasks >= 1 && alltrue([for number in [var.scaling.min_tasks, var.scaling.max_tasks, var.scaling.scale_out_data_points, var.scaling.scale_in_data_points] : floor(number) == number])
    error_message = "scaling: numbers of tasks and of data points must be whole, and max_tasks at least 1."
  }

  validation {
    condition     = var.scaling.backlog_per_task > 0 && var.scaling.in_flight_weight > 0
    error_message = "scaling: backlog_per_task and in_flight_weight must be more than 0."
  }

  validation {
    condition     = var.scaling.steps != null || var.scaling.max_tasks <= 20
    error_message = "With more than 20 tasks, set scaling.steps, because a step policy has at most 20 steps: use the output of `receipts scale plan --max-tasks N --tfvars`."
  }
}

variable "alarm_emails" {
  description = "E-mail addresses that receive the alarms."
  type        = set(string)
  default     = []
}

variable "alarm_thresholds" {
  description = "Thresholds of the alarms; see modules/observability."
  type        = any
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.alarm_thresholds), ["oldest_message_s", "failed_share", "throttled_share", "breaker_open_min", "no_worker_min", "silent_s", "endpoint_errors", "endpoint_latency_s", "review_per_day"])) == 0
    error_message = "alarm_thresholds has an unknown attribute; see modules/observability for the attributes."
  }
}

variable "kms_key_arn" {
  description = "One KMS key for bucket, queues, table, token, logs and the alarms' topic. Null uses each service's own key. infra/README.md lists what the key policy must allow."
  type        = string
  default     = null
}

variable "other_kms_key_arns" {
  description = "KMS keys of existing resources: of a bucket, and of the secret with the token. Tasks may use them."
  type        = set(string)
  default     = []
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
}

variable "protect_data" {
  description = "Refuse to delete the table, and the bucket unless it is empty. Use false for a trial that you will destroy."
  type        = bool
  default     = true
}

variable "token_secret_arn" {
  description = "ARN of an existing Secrets Manager secret with the console's token. Null creates one with a random token."
  type        = string
  default     = null
}

variable "token_rotation" {
  description = "Increase this to create a new token, if the secret is created here. Then deploy the service again."
  type        = number
  default     = 1
}
