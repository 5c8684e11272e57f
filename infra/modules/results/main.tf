# The results table: one row per document. Keys, indexes and projections match worker/aws/resources.py; tests/infra
# compares the two.

locals {
  partition_key = "document"

  indexes = {
    by_status        = { partition_key = "status_shard", sort_key = "uploaded_at" }
    by_purchase_date = { partition_key = "purchase_month", sort_key = "purchase_day" }
    by_merchant      = { partition_key = "merchant_key", sort_key = "purchase_day" }
    by_content       = { partition_key = "content_sha256", sort_key = "uploaded_at" }
  }

  # The attributes that lists show, without the whole receipt and its history.
  listed = [
    "status", "reason", "merchant", "merchant_key", "purchase_date", "total", "currency", "confidence", "checks", "model",
    "media_type", "pages", "content_sha256", "receipt_number", "payment", "uploaded_at", "stored_at", "possible_duplicate_of", "reviewed_at",
  ]

  keys = toset(concat(
    [local.partition_key],
    flatten([for index in values(local.indexes) : [index.partition_key, index.sort_key]]),
  ))
}

resource "aws_dynamodb_table" "results" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = local.partition_key
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = local.keys
    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = local.indexes
    content {
      name               = global_secondary_index.key
      projection_type    = "INCLUDE"
      non_key_attributes = setsubtract(local.listed, values(global_secondary_index.value))
      key_schema {
        attribute_name = global_secondary_index.value.partition_key
        key_type       = "HASH"
      }
      key_schema {
        attribute_name = global_secondary_index.value.sort_key
        key_type       = "RANGE"
      }
    }
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true # has no effect unless RECEIPTS_EXPIRE_DAYS adds the attribute to rows
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}
