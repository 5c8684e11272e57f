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
  default_tags {
    tags = merge({ application = "receipts", stack = var.name }, var.tags)
  }
}
