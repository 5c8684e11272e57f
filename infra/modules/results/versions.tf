terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.29, < 7" # 6.29 has key_schema in an index; hash_key and range_key there are deprecated since
    }
  }
}
