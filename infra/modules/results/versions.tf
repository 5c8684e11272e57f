terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.29 has key_schema in an index (hash_key and range_key there are deprecated since) and dies of a dynamic one.
      version = ">= 6.30, < 7"
    }
  }
}
