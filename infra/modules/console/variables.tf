variable "name" {
  description = "Name of the service, its task family and its load balancer; 32 characters at most."
  type        = string

  validation {
    condition     = length(var.name) <= 32
    error_message = "A load balancer's name has 32 characters at most: choose a shorter prefix."
  }
}

variable "cluster" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "image" {
  description = "URI of the worker image; the console is in it."
  type        = string
}

variable "command" {
  description = "What the container runs to be the console."
  type        = list(string)
}

variable "cpu" {
  description = "CPU units of a task."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of a task, MiB."
  type        = number
  default     = 512

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu) && var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu && (var.memory == 512 || var.memory % 1024 == 0)
    error_message = "Fargate has no task of this size: cpu is 256, 512, 1024, 2048, 4096, 8192 or 16384, memory (MiB) 512 or a whole number of GiB from twice to eight times cpu."
  }
}

variable "architecture" {
  description = "X86_64 or ARM64, as the image was built."
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
  description = "Environment variables, name to value."
  type        = map(string)
}

variable "secrets" {
  description = "Environment variables from Secrets Manager, name to ARN."
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
  description = "Subnets of the load balancer, in two zones at least: public ones, or private ones with `internal`."
  type        = list(string)

  validation {
    condition     = length(var.load_balancer_subnets) >= 2
    error_message = "A load balancer needs subnets in two zones: with a network of your own name network.public_subnets, or private ones in network.subnets with console.internal."
  }
}

variable "internal" {
  description = "Make the load balancer reachable from inside the VPC (and what is connected to it) only."
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
    error_message = "allowed_cidrs must name at least one IPv4 block, such as 203.0.113.0/24."
  }
}

variable "oidc" {
  description = "People sign in with this OpenID Connect provider at the load balancer before they see the page. The page asks for the token all the same. Null: the token alone."
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
  description = "Bucket for the load balancer's access logs. Null keeps none."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
}
