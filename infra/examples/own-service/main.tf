# Single modules beside an ECS service that you already have: bucket and queue, table, and scaling on the depth of the queue.
# The service runs the worker image with the settings of the output `environment`.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.23, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "cluster" {
  description = "Your ECS cluster, with Container Insights."
  type        = string
  default     = "main"
}

variable "service" {
  description = "Your ECS service that runs the worker image."
  type        = string
  default     = "receipts"
}

module "intake" {
  source = "../../modules/intake"

  name     = "receipts"
  delivery = "eventbridge"
  filters  = [{ prefix = "receipts/" }]
}

module "results" {
  source = "../../modules/results"

  name = "receipts"
}

resource "aws_appautoscaling_target" "service" {
  service_namespace  = "ecs"
  resource_id        = "service/${var.cluster}/${var.service}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 0
  max_capacity       = 10
}

module "scaling" {
  source = "../../modules/scaling"

  name       = "receipts"
  cluster    = var.cluster
  service    = var.service
  queue_name = module.intake.queue_name
  queue_url  = module.intake.queue_url
  queue_arn  = module.intake.queue_arn

  # receipts scale plan --receipt-s 4 --max-tasks 10 --tfvars
  scaling = {
    min_tasks             = 0
    max_tasks             = 10
    backlog_per_task      = 384
    in_flight_weight      = 15
    scale_out_data_points = 1
    scale_in_data_points  = 5
    cooldown_s            = 120
  }

  depends_on = [aws_appautoscaling_target.service]
}

output "environment" {
  description = "Settings of the service's container, beside RECEIPTS_ENDPOINT and RECEIPTS_PROTOCOL."
  value = {
    RECEIPTS_BUCKET    = module.intake.bucket
    RECEIPTS_QUEUE_URL = module.intake.queue_url
    RECEIPTS_TABLE     = module.results.table
  }
}
