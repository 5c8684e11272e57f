variable "name" {
  description = "Name of the service, its task family and its load balancer. At most 32 characters."
  type        = string

  validation {
    condition     = length(var.name) <= 32
    error_message = "The load balancer's name may have at most 32 characters: use a shorter prefix."
  }
}

variable "cluster" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "image" {
  description = "URI of the worker image, which contains the console."
  type        = string
}

variable "command" {
  description = "Command of the container that starts the console."
  type        = list(string)
}

variable "cpu" {
  description = "CPU units of a task."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu) && var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu && (var.memory == 512 || var.memory % 1024 == 0)
    error_message = "Fargate does not offer this task size: cpu must be 256, 512, 1024, 2048, 4096, 8192 or 16384, and memory (MiB) 512 or a whole number of GiB from twice to eight times cpu."
  }
}

variable "architecture" {
  description = "Architecture of the image: X86_64 or ARM64."
  type        = string
}

variable "tasks" {
  description = "Number of console tasks."
  type        = number
  default     = 1
}

variable "task_role_arn" {
  description = "ARN of the task role."
  type        = string
}

variable "execution_role_arn" {
  description = "ARN of the execution role."
  type        = string
}

variable "environment" {
  description = "Environment variables: name to value."
  type        = map(string)
}

variable "secrets" {
  description = "Environment variables from Secrets Manager: name to ARN."
  type        = map(string)
}

variable "log_group" {
  description = "Name of the log group."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "task_subnets" {
  description = "Subnets of the tasks."
  type        = list(string)
}

variable "task_security_groups" {
  description = "Security groups that let the tasks reach the AWS services."
  type        = list(string)
}

variable "load_balancer_subnets" {
  description = "Subnets of the load balancer, in at least two zones: public ones, or private ones with `internal`."
  type        = list(string)

  validation {
    condition     = length(var.load_balancer_subnets) >= 2
    error_message = "The load balancer needs subnets in two zones. In an existing network, set network.public_subnets, or console.internal and private network.subnets."
  }
}

variable "internal" {
  description = "Make the load balancer reachable only from the VPC and networks connected to it."
  type        = bool
  default     = false
}

variable "certificate_arn" {
  description = "ARN of the ACM certificate of the console's host name."
  type        = string
}

variable "allowed_cidrs" {
  description = "Addresses that may reach the console."
  type        = set(string)

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_cidrs must contain at least one IPv4 block, for example 203.0.113.0/24."
  }
}

variable "oidc" {
  description = "OpenID Connect provider for sign-in at the load balancer, before the page is shown. The page still asks for the token. Null: only the token."
  type = object({
    issuer                 = string
    authorization_endpoint = string
    token_endpoint         = string
    user_info_endpoint     = string
    client_id              = string
    client_secret          = string
    scope                  = optional(string, "openid email")
    session_timeout_s      = optional(number, 28800)
  })
  default   = null
  sensitive = true
}

variable "log_bucket" {
  description = "Bucket for the load balancer's access logs. Null: no logs."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
}
