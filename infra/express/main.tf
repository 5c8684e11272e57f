# ECS Express Mode: one service with worker and console in one process, behind a load balancer that AWS creates.

data "aws_partition" "current" {}

locals {
  stop_timeout_s = 30 # fixed by Express Mode
  token_arn      = coalesce(var.token_secret_arn, one(module.token[*].arn))
  kms_key_arns   = setunion(compact([var.kms_key_arn]), var.other_kms_key_arns)
  # A token made here uses the stack's own key. A token that you bring may use either kind of key.
  token_key_arns = var.token_secret_arn == null ? compact([var.kms_key_arn]) : local.kms_key_arns
}

module "intake" {
  source              = "../modules/intake"
  name                = var.name
  existing_bucket     = var.bucket
  delivery            = var.delivery
  manage_notification = var.manage_notification
  filters             = var.filters
  bucket_kms_key_arn  = var.kms_key_arn
  queue_kms_key_arn   = var.kms_key_arn
  archive_days        = var.retention.archive_days
  expire_days         = var.retention.expire_days
  noncurrent_days     = var.retention.noncurrent_days
  force_destroy       = !var.protect_data
}

module "results" {
  source                 = "../modules/results"
  name                   = var.name
  kms_key_arn            = var.kms_key_arn
  deletion_protection    = var.protect_data
  point_in_time_recovery = var.protect_data
}

module "model" {
  source             = "../modules/model"
  name               = var.name
  existing_endpoint  = var.endpoint
  model              = var.model
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.kms_key_arn
}

module "token" {
  count                = var.token_secret_arn == null ? 1 : 0
  source               = "../modules/token"
  name                 = "${var.name}-console-token"
  rotation             = var.token_rotation
  kms_key_arn          = var.kms_key_arn
  recovery_window_days = var.protect_data ? 7 : 0
}

module "task" {
  source                   = "../modules/task"
  name                     = var.name
  service                  = var.name
  console                  = true
  image                    = var.image
  managed_execution_policy = true
  bucket                   = module.intake.bucket
  bucket_arn               = module.intake.bucket_arn
  queue_url                = module.intake.queue_url
  queue_arn                = module.intake.queue_arn
  dead_letter_queue_arn    = module.intake.dead_letter_queue_arn
  table                    = module.results.table
  table_arn                = module.results.table_arn
  endpoint                 = module.model.endpoint
  endpoint_arn             = module.model.endpoint_arn
  protocol                 = var.protocol
  cluster                  = aws_ecs_cluster.main.name
  kms_key_arns             = local.kms_key_arns
  token_secret_arn         = local.token_arn
  token_kms_key_arns       = local.token_key_arns
  stop_timeout_s           = local.stop_timeout_s
  visibility_timeout_s     = module.intake.visibility_timeout_s
  receive_wait_s           = module.intake.receive_wait_s
  slots                    = var.slots
  settings                 = var.settings
  log_retention_days       = var.log_retention_days
  log_kms_key_arn          = var.kms_key_arn
}

# ---- the service ----

resource "aws_ecs_cluster" "main" {
  name = var.name

  # The scaling policy gets the number of tasks from Container Insights.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = ["FARGATE"]
}

resource "aws_iam_role" "infrastructure" {
  name        = "${var.name}-infrastructure"
  description = "Allows ECS Express Mode to create and change its load balancer, security groups, certificate and scaling."

  # As in docs.aws.amazon.com/AmazonECS/latest/developerguide/infrastructure_IAM_role.html. No document says that ECS
  # sends the keys to narrow this further, and a condition on a missing key would deny access.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "infrastructure" {
  role       = aws_iam_role.infrastructure.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSInfrastructureRoleforExpressGatewayServices"
}

resource "aws_ecs_express_gateway_service" "main" {
  cluster                 = aws_ecs_cluster.main.name
  service_name            = var.name
  execution_role_arn      = module.task.execution_role_arn
  infrastructure_role_arn = aws_iam_role.infrastructure.arn
  task_role_arn           = module.task.task_role_arn
  health_check_path       = "/health"
  cpu                     = var.cpu
  memory                  = var.memory
  wait_for_steady_state   = true # the scaling policies below need the service's scalable target

  primary_container {
    image          = var.image
    container_port = 8000

    aws_logs_configuration {
      log_group         = module.task.log_group
      log_stream_prefix = "worker"
    }
    dynamic "environment" {
      for_each = module.task.environment
      content {
        name  = environment.key
        value = environment.value
      }
    }
    dynamic "secret" {
      for_each = module.task.secrets
      content {
        name       = secret.key
        value_from = secret.value
      }
    }
  }

  dynamic "network_configuration" {
    for_each = length(var.subnets) + length(var.security_groups) == 0 ? [] : [1]
    content {
      subnets         = length(var.subnets) == 0 ? null : var.subnets
      security_groups = length(var.security_groups) == 0 ? null : var.security_groups
    }
  }

  # Express Mode requires a scaling metric. At 100 % of CPU, this one never adds a task and nearly always agrees to remove
  # one. So module.scaling decides: the largest capacity wins, and scaling in needs every policy.
  scaling_target {
    auto_scaling_metric       = "AVERAGE_CPU"
    auto_scaling_target_value = 100
    min_task_count            = var.scaling.min_tasks
    max_task_count            = var.scaling.max_tasks
  }

  # During destroy, Express Mode still needs its role to delete what it created.
  depends_on = [aws_iam_role_policy_attachment.infrastructure, aws_ecs_cluster_capacity_providers.main]
}

module "scaling" {
  source     = "../modules/scaling"
  name       = var.name
  cluster    = aws_ecs_cluster.main.name
  service    = aws_ecs_express_gateway_service.main.service_name
  queue_name = module.intake.queue_name
  queue_url  = module.intake.queue_url
  queue_arn  = module.intake.queue_arn
  policy     = var.scaling_policy
  scaling    = var.scaling
}

module "observability" {
  source                 = "../modules/observability"
  name                   = var.name
  service                = var.name
  queue_name             = module.intake.queue_name
  dead_letter_queue_name = module.intake.dead_letter_queue_name
  table                  = module.results.table
  cluster                = aws_ecs_cluster.main.name
  ecs_service            = aws_ecs_express_gateway_service.main.service_name
  endpoint               = module.model.endpoint
  variants               = var.endpoint == null ? module.model.variants : var.endpoint_variants
  emails                 = var.alarm_emails
  kms_key_arn            = var.kms_key_arn
  thresholds             = merge({ oldest_message_s = var.scaling.oldest_message_alarm_s }, var.alarm_thresholds)
}
