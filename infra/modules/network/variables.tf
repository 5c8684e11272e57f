variable "name" {
  description = "Prefix of the names."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC. It is cut into 16 subnets: private ones first, public ones from the ninth on."
  type        = string
  default     = "10.73.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrsubnet(var.cidr, 0, 0) == var.cidr && tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr must be an IPv4 block from /16 to /24 that names its first address, such as 10.73.0.0/20."
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
  description = "Make public subnets and an internet gateway beside the private subnets, for a load balancer. Tasks stay in the private ones."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "AWS services that tasks reach over interface endpoints, beside S3 and DynamoDB, which have gateway endpoints."
  type        = set(string)
  default     = ["sqs", "sagemaker.runtime", "ecr.api", "ecr.dkr", "logs", "sts"]
}

variable "bucket_arns" {
  description = "Buckets that can be reached through the gateway endpoint of S3, beside that of images' layers. Empty: any."
  type        = list(string)
  default     = []
}

variable "table_arns" {
  description = "Tables that can be reached through the gateway endpoint of DynamoDB. Empty: any."
  type        = list(string)
  default     = []
}
