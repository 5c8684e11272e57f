# ---- what you must say ----

variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
}

variable "image" {
  description = "URI of the worker image, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0."
  type        = string

  validation {
    condition     = can(regex("^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?[:@]\\S+$", var.image))
    error_message = "image must be the URI of an image with its tag or digest."
  }
}

variable "endpoint" {
  description = "Name of a SageMaker endpoint that you already have. Null deploys `model`."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint == null || can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", var.endpoint))
    error_message = "endpoint must be an endpoint's name, not its ARN or URL."
  }
}

variable "model" {
  description = "The model to deploy where `endpoint` is null; modules/model describes it. At least {image = URI of the model image}."
  type        = any
  default     = null

  validation {
    condition     = (var.model == null) != (var.endpoint == null)
    error_message = "Give either endpoint (one that you have) or model (one to deploy)."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.model), []), ["image", "environment", "data_url", "network_isolation", "instance_type", "min_instances", "max_instances", "concurrent_requests", "startup_timeout_s", "serverless"])) == 0
    error_message = "model has an attribute that nobody reads; modules/model describes them."
  }
}

# ---- what has a default ----

variable "name" {
  description = "Prefix of every name: several stacks in one account differ in it."
  type        = string
  default     = "receipts"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, beginning with a letter."
  }

  validation {
    condition     = !startswith(var.name, "internal-") && !can(regex("-(worker|console|dead-letter)$", var.name))
    error_message = "name must not begin with internal- (no load balancer may) nor end in -worker, -console or -dead-letter (another stack's parts are called so)."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "protocol" {
  description = "What the endpoint speaks: `image` (the embedded reader), `chat` (vLLM, LMI, TGI) or `textract`."
  type        = string
  default     = "image"

  validation {
    condition     = contains(["image", "chat", "textract"], var.protocol)
    error_message = "protocol must be image, chat or textract."
  }
}

variable "endpoint_variants" {
  description = "Variants of an existing endpoint that the alarms watch."
  type        = set(string)
  default     = ["AllTraffic"]
}

variable "settings" {
  description = "Further settings of the worker, RECEIPTS_* to text. `receipts settings` lists them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "RECEIPTS_")])
    error_message = "Every name in settings begins with RECEIPTS_."
  }
}

variable "bucket" {
  description = "Name of a bucket that you already have. Null makes one."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be a bucket's name, without s3://."
  }
}

variable "manage_notification" {
  description = "Set the bucket's notification; false when something else manages that of an existing bucket, and adds the output `notification` to it."
  type        = bool
  default     = true
}

variable "filters" {
  description = "Which keys are receipts, by prefix and suffix; empty: all."
  type        = list(object({ prefix = optional(string, ""), suffix = optional(string, "") }))
  default     = []
}

variable "retention" {
  description = "How long uploads are kept in a bucket that is made here; modules/intake describes it. The default keeps them for ever, and replaced versions for 30 days."
  type = object({
    archive_days    = optional(number)
    expire_days     = optional(number)
    noncurrent_days = optional(number, 30)
  })
  default = {}
}

variable "delivery" {
  description = "How an upload reaches the queue: `direct`, `eventbridge` or `sns`."
  type        = string
  default     = "direct"
}

variable "network" {
  description = "The network. `create` makes a VPC without NAT (modules/network); else name vpc_id, subnets and security_groups of your own, in which tasks reach S3, SQS, DynamoDB, SageMaker runtime, ECR and CloudWatch Logs. assign_public_ip is for public subnets without NAT."
  type = object({
    create           = optional(bool, true)
    cidr             = optional(string, "10.73.0.0/20")
    zones            = optional(number, 2)
    vpc_id           = optional(string)
    subnets          = optional(list(string), [])
    public_subnets   = optional(list(string), [])
    security_groups  = optional(list(string), [])
    assign_public_ip = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.network.create || (var.network.vpc_id != null && length(var.network.subnets) > 0 && length(var.network.security_groups) > 0)
    error_message = "network: without create, name vpc_id, subnets and security_groups."
  }
}

variable "architecture" {
  description = "X86_64 or ARM64, as the image was built."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture must be X86_64 or ARM64."
  }
}

variable "on_demand_base" {
  description = "Tasks that run on Fargate before Spot is used at all."
  type        = number
  default     = 0
}

variable "spot_share" {
  description = "Share of the tasks above the base that run on Fargate Spot, 0 to 1."
  type        = number
  default     = 0.75
}

variable "stop_timeout_s" {
  description = "Time from SIGTERM to SIGKILL, seconds; Fargate gives 120 at most."
  type        = number
  default     = 120
}

variable "canary" {
  description = "A second variant of the endpoint, to try a new model; modules/model describes it."
  type        = any
  default     = null

  validation {
    condition     = length(setsubtract(try(keys(var.canary), []), ["image", "environment", "data_url", "network_isolation", "instance_type", "instances", "weight"])) == 0
    error_message = "canary has an attribute that nobody reads; modules/model describes them."
  }
}

variable "console" {
  description = <<-EOT
    A console behind a load balancer. Null: none (the command line and the table are there all the same).
    - certificate_arn: ACM certificate of its host name.
    - allowed_cidrs: addresses that may reach it.
    - internal: reachable from inside the VPC only.
    - tasks, cpu, memory: its size.
    - log_bucket: bucket for the load balancer's access logs.
  EOT
  type = object({
    certificate_arn = string
    allowed_cidrs   = set(string)
    internal        = optional(bool, false)
    tasks           = optional(number, 1)
    cpu             = optional(number, 256)
    memory          = optional(number, 512)
    log_bucket      = optional(string)
  })
  default = null
}

variable "oidc" {
  description = "OpenID Connect provider that people sign in with at the console's load balancer, beside the token; modules/console describes it."
  type        = any
  default     = null
  sensitive   = true

  validation {
    condition     = var.oidc == null || try(var.console.internal && var.network.create, true) == false
    error_message = "oidc needs a console, and a way from its load balancer to the provider: the VPC that is made here gives that to a public load balancer only."
  }
}

variable "cpu" {
  description = "CPU units of a task; 1024 are one vCPU."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of a task, MiB."
  type        = number
  default     = 512
}

variable "slots" {
  description = "Receipts that one task works on at a time."
  type        = number
  default     = 32
}

variable "scaling_policy" {
  description = "`steps` (what docs/scaling.md recommends) or `target_tracking` on the backlog a task, with a step from zero beside it."
  type        = string
  default     = "steps"

  validation {
    condition     = contains(["steps", "target_tracking"], var.scaling_policy)
    error_message = "scaling_policy must be steps or target_tracking."
  }
}

variable "scaling" {
  description = "The fleet's numbers, as `receipts scale plan --tfvars` prints them. The defaults are its defaults: 4 s a receipt, 32 slots, 60 s of acceptable latency."
  type = object({
    min_tasks              = optional(number, 0)
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
    condition     = var.scaling.min_tasks >= 0 && var.scaling.min_tasks <= var.scaling.max_tasks
    error_message = "scaling.min_tasks is at least 0 and not more than max_tasks."
  }

  validation {
    condition     = var.scaling.max_tasks >= 1 && alltrue([for number in [var.scaling.min_tasks, var.scaling.max_tasks, var.scaling.scale_out_data_points, var.scaling.scale_in_data_points] : floor(number) == number])
    error_message = "scaling: numbers of tasks and of data points are whole, and max_tasks is at least 1."
  }

  validation {
    condition     = var.scaling.backlog_per_task > 0 && var.scaling.in_flight_weight > 0
    error_message = "scaling: backlog_per_task and in_flight_weight are more than 0."
  }

  validation {
    condition     = var.scaling.steps != null || var.scaling.max_tasks <= 20
    error_message = "More than 20 tasks need steps, because a step policy has 20 at most: take them from `receipts scale plan --max-tasks N --tfvars`."
  }
}

variable "alarm_emails" {
  description = "Addresses that get the alarms."
  type        = set(string)
  default     = []
}

variable "alarm_thresholds" {
  description = "When the alarms go off; modules/observability describes them."
  type        = any
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.alarm_thresholds), ["oldest_message_s", "failed_share", "throttled_share", "breaker_open_min", "no_worker_min", "silent_s", "endpoint_errors", "endpoint_latency_s", "review_per_day"])) == 0
    error_message = "alarm_thresholds has an attribute that nobody reads; modules/observability describes them."
  }
}

variable "kms_key_arn" {
  description = "One KMS key for bucket, queues, table, token, logs and the alarms' topic. Null leaves each to its service's own. infra/README.md says what its key policy must allow."
  type        = string
  default     = null
}

variable "other_kms_key_arns" {
  description = "KMS keys of what you bring: of an existing bucket, and of a secret that holds the token. Tasks may use them."
  type        = set(string)
  default     = []
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30
}

variable "protect_data" {
  description = "Refuse to delete the table and a bucket that is not empty. false for a trial that you destroy afterwards."
  type        = bool
  default     = true
}

variable "token_secret_arn" {
  description = "ARN of a Secrets Manager secret of your own whose text is the console's token. Null makes one, whose text AWS makes up."
  type        = string
  default     = null
}

variable "token_rotation" {
  description = "Count it up for a new token, where the secret is made here; then deploy the service anew."
  type        = number
  default     = 1
}
