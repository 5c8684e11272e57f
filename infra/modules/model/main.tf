# The SageMaker endpoint that reads receipts: created here with its own scaling, or an existing one.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
data "aws_partition" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.region

  made       = var.existing_endpoint == null
  serverless = local.made ? var.model.serverless : null

  variants = local.made ? merge(
    {
      main = {
        image             = var.model.image
        environment       = var.model.environment
        data_url          = var.model.data_url
        network_isolation = var.model.network_isolation
        instance_type     = var.model.instance_type
        instances         = var.model.min_instances
        weight            = 1
      }
    },
    var.canary == null ? {} : { canary = var.canary },
  ) : {}

  # A model is immutable, so each change of its configuration creates a model with another name.
  fingerprints = { for name, variant in local.variants :
    name => substr(sha256(jsonencode([variant.image, variant.environment, variant.data_url, variant.network_isolation])), 0, 8)
  }

  # ECR repositories from which SageMaker may pull.
  repositories = distinct(flatten([
    for variant in values(local.variants) : [
      for found in regexall("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.amazonaws\\.com(?:\\.cn)?/(?P<repository>[^:@]+)", variant.image) :
      "arn:${local.partition}:ecr:${found.region}:${found.account}:repository/${found.repository}"
    ]
  ]))
  data_urls = [for variant in values(local.variants) : trimprefix(variant.data_url, "s3://") if variant.data_url != null]
}

# SageMaker would create this log group itself, without an expiry of its entries.
resource "aws_cloudwatch_log_group" "model" {
  count             = local.made ? 1 : 0
  name              = "/aws/sagemaker/Endpoints/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
}

resource "aws_iam_role" "model" {
  count       = local.made ? 1 : 0
  name        = "${var.name}-model"
  description = "Permissions of SageMaker for running the model."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "model" {
  count = local.made ? 1 : 0
  name  = "model"
  role  = aws_iam_role.model[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "SignInToEcr" # the action has no resource-level permissions
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = "*"
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = [aws_cloudwatch_log_group.model[0].arn, "${aws_cloudwatch_log_group.model[0].arn}:*"]
        },
        {
          Sid       = "WriteMetrics" # the action has no resource-level permissions
          Effect    = "Allow"
          Action    = ["cloudwatch:PutMetricData"]
          Resource  = "*"
          Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "AWS/SageMaker"] } }
        },
      ],
      length(local.repositories) == 0 ? [] : [{
        Sid      = "PullTheImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.repositories
      }],
      length(local.data_urls) == 0 ? [] : [
        {
          Sid      = "ReadTheModel"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = [for url in local.data_urls : "arn:${local.partition}:s3:::${url}${endswith(url, "/") ? "*" : ""}"]
        },
        {
          Sid      = "FindTheModel"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = distinct([for url in local.data_urls : "arn:${local.partition}:s3:::${split("/", url)[0]}"])
        },
      ],
    )
  })
}

resource "aws_sagemaker_model" "variant" {
  for_each           = local.variants
  name               = "${var.name}-${each.key}-${local.fingerprints[each.key]}"
  execution_role_arn = aws_iam_role.model[0].arn

  # A reader needs no outgoing calls. SageMaker fetches the model data, not the container.
  enable_network_isolation = each.value.network_isolation

  primary_container {
    image          = each.value.image
    environment    = each.value.environment
    model_data_url = try(endswith(each.value.data_url, "/"), true) ? null : each.value.data_url

    dynamic "model_data_source" {
      for_each = try(endswith(each.value.data_url, "/"), false) ? [each.value.data_url] : []
      content {
        s3_data_source {
          s3_uri           = model_data_source.value
          s3_data_type     = "S3Prefix"
          compression_type = "None"
        }
      }
    }
  }

  lifecycle {
    create_before_destroy = true
  }
  depends_on = [aws_iam_role_policy.model]
}

resource "aws_sagemaker_endpoint_configuration" "model" {
  count       = local.made ? 1 : 0
  name_prefix = "${var.name}-"
  kms_key_arn = var.kms_key_arn

  dynamic "production_variants" {
    for_each = local.variants
    content {
      variant_name           = production_variants.key
      model_name             = aws_sagemaker_model.variant[production_variants.key].name
      initial_variant_weight = production_variants.value.weight
      initial_instance_count = local.serverless == null ? production_variants.value.instances : null
      instance_type          = local.serverless == null ? production_variants.value.instance_type : null

      container_startup_health_check_timeout_in_seconds = local.serverless == null ? var.model.startup_timeout_s : null

      dynamic "routing_config" {
        for_each = local.serverless == null ? [1] : []
        content {
          routing_strategy = "LEAST_OUTSTANDING_REQUESTS"
        }
      }
      dynamic "serverless_config" {
        for_each = local.serverless == null ? [] : [local.serverless]
        content {
          memory_size_in_mb = serverless_config.value.memory_mb
          max_concurrency   = serverless_config.value.max_concurrency
        }
      }
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = var.model != null || !local.made
      error_message = "Set either existing_endpoint or model."
    }
  }
}

resource "aws_sagemaker_endpoint" "model" {
  count                = local.made ? 1 : 0
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.model[0].name
}

# ---- the endpoint's scaling, on concurrent requests, because a model runs out of slots first ----

resource "aws_appautoscaling_target" "model" {
  count              = local.made && local.serverless == null ? 1 : 0
  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.model[0].name}/variant/main"
  min_capacity       = var.model.min_instances
  max_capacity       = var.model.max_instances
}

resource "aws_appautoscaling_policy" "model" {
  count              = local.made && local.serverless == null ? 1 : 0
  name               = "${var.name}-concurrent-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.model[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.model[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.model[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.model.concurrent_requests
    scale_out_cooldown = 180
    scale_in_cooldown  = 600
    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }
  }
}
