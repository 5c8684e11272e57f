variable "name" {
  description = "Name of the service and of its task family."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster. It must have the capacity providers FARGATE and FARGATE_SPOT."
  type        = string
}

variable "image" {
  description = "URI of the worker image."
  type        = string
}

variable "command" {
  description = "Command of the container. Null uses the image's own command."
  type        = list(string)
  default     = null
}

variable "cpu" {
  description = "CPU units of a task. 1024 units are one vCPU."
  type        = number
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu) && var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu && (var.memory == 512 || var.memory % 1024 == 0)
    error_message = "Fargate does not offer this task size: cpu must be 256, 512, 1024, 2048, 4096, 8192 or 16384, and memory (MiB) 512 or a whole number of GiB from twice to eight times cpu."
  }
}

variable "architecture" {
  description = "Architecture of the image: X86_64 or ARM64."
  type        = string
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

variable "log_group" {
  description = "Name of the log group."
  type        = string
}

variable "stop_timeout_s" {
  description = "Seconds between SIGTERM and SIGKILL. Fargate allows at most 120."
  type        = number

  validation {
    condition     = var.stop_timeout_s >= 15 && var.stop_timeout_s <= 120
    error_message = "stop_timeout_s must be between 15 and 120 seconds."
  }
}

variable "subnets" {
  description = "Subnets of the tasks."
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups of the tasks."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Give tasks a public address. Only for public subnets without NAT."
  type        = bool
  default     = false
}

variable "min_tasks" {
  description = "Smallest number of tasks. With 0, no task runs while the queue is empty."
  type        = number
}

variable "max_tasks" {
  description = "Largest number of tasks."
  type        = number
}

variable "on_demand_base" {
  description = "Number of tasks that always run on Fargate before any run on Spot."
  type        = number
  default     = 0
}

variable "spot_share" {
  description = "Share of further tasks that run on Fargate Spot, 0 to 1. A reclaimed task has two minutes to finish, then it hands its messages back."
  type        = number
  default     = 0.75

  validation {
    condition     = var.spot_share >= 0 && var.spot_share <= 1
    error_message = "spot_share must be between 0 and 1."
  }
}
