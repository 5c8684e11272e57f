# Workers in a VPC without a way to the internet, from zero tasks up, three quarters of them on Spot, on ARM64. Alarms by mail,
# uploads archived after 90 days, no console.
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

variable "alarm_emails" {
  description = "Addresses that get the alarms."
  type        = set(string)
  default     = ["ops@example.com"]
}

module "receipts" {
  source = "../../custom"

  name         = "receipts-private"
  region       = var.region
  image        = "${var.registry}/receipts-worker:1.0.0"
  architecture = "ARM64"
  model        = { image = "${var.registry}/receipts-reader:1.0.0", max_instances = 2 }
  spot_share   = 0.75
  alarm_emails = var.alarm_emails
  retention    = { archive_days = 90 }
}

output "next" {
  description = "The next commands to type."
  value       = module.receipts.next
}
