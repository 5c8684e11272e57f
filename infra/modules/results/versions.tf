terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.29 introduced key_schema in an index and deprecated hash_key and range_key there, but it crashes on a dynamic one.
      version = ">= 6.30, < 7"
    }
  }
}
