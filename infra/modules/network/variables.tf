variable "name" {
  description = "Prefix of the names."
  type        = string
}

variable "cidr" {
  description = "IPv4 block of the VPC. It is split into 16 subnets: private ones first, public ones from the ninth on."
  type        = string
  default     = "10.73.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrsubnet(var.cidr, 0, 0) == var.cidr && tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr must be an IPv4 block from /16 to /24, written with its first address, for example 10.73.0.0/20."
  }
}

variable "zones" {
  description = "Number of availability zones."
  type        = number
  default     = 2

  validation {
    condition     = var.zones >= (var.public ? 2 : 1) && var.zones <= 6 && floor(var.zones) == var.zones
    error_message = "zones must be between 1 and 6, and at least 2 for a load balancer."
  }
}

variable "public" {
  description = "Also create public subnets and an internet gateway, for a load balancer. Tasks stay in the private subnets."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "AWS services that tasks reach through interface endpoints. S3 and DynamoDB have gateway endpoints instead."
  type        = set(string)
  default     = ["sqs", "sagemaker.runtime", "ecr.api", "ecr.dkr", "logs", "sts"]
}

variable "bucket_arns" {
  description = "Buckets that can be reached through the gateway endpoint of S3, in addition to that of image layers. Empty: any."
  type        = list(string)
  default     = []
}

variable "table_arns" {
  description = "Tables that can be reached through the gateway endpoint of DynamoDB. Empty: any."
  type        = list(string)
  default     = []
}
