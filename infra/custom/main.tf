# Full control: workers in private subnets without a load balancer, on Fargate and Fargate Spot, scaled by the queue from
# zero. Optionally, a console behind a load balancer.

locals {
  kms_key_arns = setunion(compact([var.kms_key_arn]), var.other_kms_key_arns)
  # A token made here uses the stack's own key. A token that you bring may use either kind of key.
  token_key_arns  = var.token_secret_arn == null ? compact([var.kms_key_arn]) : local.kms_key_arns
  console         = var.console != null
  token_arn       = local.console ? coalesce(var.token_secret_arn, one(module.token[*].arn)) : null
  vpc_id          = var.network.create ? module.network[0].vpc_id : var.network.vpc_id
  subnets         = var.network.create ? module.network[0].private_subnets : var.network.subnets
  public_subnets  = var.network.create ? module.network[0].public_subnets : var.network.public_subnets
  security_groups = var.network.create ? [module.network[0].tasks_security_group] : var.network.security_groups
}

module "network" {
  count  = var.network.create ? 1 : 0
  source = "../modules/network"
  name   = var.name
  cidr   = var.network.cidr
  zones  = var.network.zones
  public = local.console && !try(var.console.internal, false)

  interface_endpoints = concat(
    ["sqs", "sagemaker.runtime", "ecr.api", "ecr.dkr", "logs", "sts"],
    local.console ? ["secretsmanager", "ecs"] : [], # reads its token; asks for the number of tasks
  )
  bucket_arns = [module.intake.bucket_arn]
  table_arns  = [module.results.table_arn]
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
  canary             = var.canary
}

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
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

# ---- the worker ----

module "worker_task" {
  source                = "../modules/task"
  name                  = "${var.name}-worker"
  service               = var.name
  image                 = var.image
  bucket                = module.intake.bucket
  bucket_arn            = module.intake.bucket_arn
  queue_url             = module.intake.queue_url
  queue_arn             = module.intake.queue_arn
  dead_letter_queue_arn = module.intake.dead_letter_queue_arn
  table                 = module.results.table
  table_arn             = module.results.table_arn
  endpoint              = module.model.endpoint
  endpoint_arn          = module.model.endpoint_arn
  protocol              = var.protocol
  cluster               = aws_ecs_cluster.main.name
  kms_key_arns          = local.kms_key_arns
  stop_timeout_s        = var.stop_timeout_s
  visibility_timeout_s  = module.intake.visibility_timeout_s
  receive_wait_s        = module.intake.receive_wait_s
  slots                 = var.slots
  settings              = var.settings
  log_retention_days    = var.log_retention_days
  log_kms_key_arn       = var.kms_key_arn
}

module "worker" {
  source             = "../modules/worker"
  name               = "${var.name}-worker"
  cluster            = aws_ecs_cluster_capacity_providers.main.cluster_name
  image              = var.image
  cpu                = var.cpu
  memory             = var.memory
  architecture       = var.architecture
  task_role_arn      = module.worker_task.task_role_arn
  execution_role_arn = module.worker_task.execution_role_arn
  environment        = module.worker_task.environment
  log_group          = module.worker_task.log_group
  stop_timeout_s     = var.stop_timeout_s
  subnets            = local.subnets
  security_groups    = local.security_groups
  assign_public_ip   = var.network.assign_public_ip
  min_tasks          = var.scaling.min_tasks
  max_tasks          = var.scaling.max_tasks
  on_demand_base     = var.on_demand_base
  spot_share         = var.spot_share
}

module "scaling" {
  source     = "../modules/scaling"
  name       = "${var.name}-worker"
  cluster    = aws_ecs_cluster.main.name
  service    = module.worker.service
  queue_name = module.intake.queue_name
  queue_url  = module.intake.queue_url
  queue_arn  = module.intake.queue_arn
  policy     = var.scaling_policy
  scaling    = var.scaling
}

# ---- the console ----

module "token" {
  count                = local.console && var.token_secret_arn == null ? 1 : 0
  source               = "../modules/token"
  name                 = "${var.name}-console-token"
  rotation             = var.token_rotation
  kms_key_arn          = var.kms_key_arn
  recovery_window_days = var.protect_data ? 7 : 0
}

module "console_task" {
  count                 = local.console ? 1 : 0
  source                = "../modules/task"
  name                  = "${var.name}-console"
  service               = var.name
  worker                = false
  console               = true
  image                 = var.image
  bucket                = module.intake.bucket
  bucket_arn            = module.intake.bucket_arn
  queue_url             = module.intake.queue_url
  queue_arn             = module.intake.queue_arn
  dead_letter_queue_arn = module.intake.dead_letter_queue_arn
  table                 = module.results.table
  table_arn             = module.results.table_arn
  endpoint              = module.model.endpoint
  endpoint_arn          = module.model.endpoint_arn
  protocol              = var.protocol
  cluster               = aws_ecs_cluster.main.name
  kms_key_arns          = local.kms_key_arns
  token_secret_arn      = local.token_arn
  token_kms_key_arns    = local.token_key_arns
  stop_timeout_s        = 30
  visibility_timeout_s  = module.intake.visibility_timeout_s
  receive_wait_s        = module.intake.receive_wait_s
  slots                 = var.slots
  settings              = var.settings
  log_retention_days    = var.log_retention_days
  log_kms_key_arn       = var.kms_key_arn
}

module "console" {
  count                 = local.console ? 1 : 0
  source                = "../modules/console"
  name                  = "${var.name}-console"
  cluster               = aws_ecs_cluster.main.name
  image                 = var.image
  command               = ["receipts", "console"]
  cpu                   = var.console.cpu
  memory                = var.console.memory
  architecture          = var.architecture
  tasks                 = var.console.tasks
  task_role_arn         = module.console_task[0].task_role_arn
  execution_role_arn    = module.console_task[0].execution_role_arn
  environment           = module.console_task[0].environment
  secrets               = module.console_task[0].secrets
  log_group             = module.console_task[0].log_group
  vpc_id                = local.vpc_id
  task_subnets          = local.subnets
  task_security_groups  = local.security_groups
  load_balancer_subnets = var.console.internal ? local.subnets : local.public_subnets
  internal              = var.console.internal
  certificate_arn       = var.console.certificate_arn
  allowed_cidrs         = var.console.allowed_cidrs
  oidc                  = var.oidc
  log_bucket            = var.console.log_bucket
  deletion_protection   = var.protect_data
}

module "observability" {
  source                 = "../modules/observability"
  name                   = var.name
  service                = var.name
  queue_name             = module.intake.queue_name
  dead_letter_queue_name = module.intake.dead_letter_queue_name
  table                  = module.results.table
  cluster                = aws_ecs_cluster.main.name
  ecs_service            = module.worker.service
  endpoint               = module.model.endpoint
  variants               = var.endpoint == null ? module.model.variants : var.endpoint_variants
  emails                 = var.alarm_emails
  kms_key_arn            = var.kms_key_arn
  thresholds             = merge({ oldest_message_s = var.scaling.oldest_message_alarm_s }, var.alarm_thresholds)
}
