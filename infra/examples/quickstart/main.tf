# The smallest system: one ECS Express Mode service with worker and console, and the embedded reader on one CPU instance.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.23, < 7"
    }
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "registry" {
  description = "Registry that has both images, without a trailing slash."
  type        = string
  default     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
}

module "receipts" {
  source = "../../express"

  region = var.region
  image  = "${var.registry}/receipts-worker:1.0.0"
  model  = { image = "${var.registry}/receipts-reader:1.0.0" }
}

output "next" {
  description = "The next commands to type."
  value       = module.receipts.next
}
