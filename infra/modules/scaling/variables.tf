variable "name" {
  description = "Prefix of the names of the policies and of their alarms."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster. Container Insights must be on: the number of tasks is its metric."
  type        = string
}

variable "service" {
  description = "Name of the ECS service."
  type        = string
}

variable "queue_name" {
  description = "Name of the work queue."
  type        = string
}

variable "queue_url" {
  description = "URL of the work queue."
  type        = string
}

variable "queue_arn" {
  description = "ARN of the work queue."
  type        = string
}

variable "policy" {
  description = "`steps`: two step policies, which scale out by the shortfall of tasks and in by a lasting surplus. `target_tracking`: target tracking on the backlog per task, with an additional step from zero to one. docs/scaling.md compares them."
  type        = string
  default     = "steps"

  validation {
    condition     = contains(["steps", "target_tracking"], var.policy)
    error_message = "policy must be steps or target_tracking."
  }
}

variable "scaling" {
  description = "The numbers of `receipts scale plan`, which prints them as tfvars. Without steps, a shortfall of n tasks adds n, and a surplus of n removes n."
  type = object({
    min_tasks             = number
    max_tasks             = number
    backlog_per_task      = number
    in_flight_weight      = number
    scale_out_data_points = number
    scale_in_data_points  = number
    cooldown_s            = number
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
}
