# The worker as an ECS service on Fargate, without a load balancer or inbound access, scaled by the queue.

data "aws_region" "current" {}

locals {
  spot_weight   = floor(var.spot_share * 100)
  demand_weight = 100 - local.spot_weight
}

resource "aws_ecs_task_definition" "worker" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = var.task_role_arn
  execution_role_arn       = var.execution_role_arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  # The root file system is read-only. Temporary files of libraries go here.
  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([merge(
    {
      name                   = "worker"
      image                  = var.image
      essential              = true
      stopTimeout            = var.stop_timeout_s
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp" }]
      environment            = [for name, value in var.environment : { name = name, value = value }]
      healthCheck = {
        command     = ["CMD", "receipts", "health"]
        interval    = 30
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = var.log_group
          awslogs-region        = data.aws_region.current.region
          awslogs-stream-prefix = "worker"
          # A worker never waits for its log: lines that do not fit into the buffer are dropped.
          mode            = "non-blocking"
          max-buffer-size = "4m"
        }
      }
    },
    var.command == null ? {} : { command = var.command },
  )])
}

resource "aws_ecs_service" "worker" {
  name            = var.name
  cluster         = var.cluster
  task_definition = aws_ecs_task_definition.worker.arn
  desired_count   = var.min_tasks

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  dynamic "capacity_provider_strategy" {
    for_each = { for name, weight in { FARGATE = local.demand_weight, FARGATE_SPOT = local.spot_weight } :
      name => weight if weight > 0 || (name == "FARGATE" && var.on_demand_base > 0)
    }
    content {
      capacity_provider = capacity_provider_strategy.key
      weight            = capacity_provider_strategy.value
      base              = capacity_provider_strategy.key == "FARGATE" ? var.on_demand_base : null
    }
  }

  network_configuration {
    subnets          = var.subnets
    security_groups  = var.security_groups
    assign_public_ip = var.assign_public_ip
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  propagate_tags          = "SERVICE"
  enable_ecs_managed_tags = true

  lifecycle {
    ignore_changes = [desired_count] # set by scaling after the first deployment
  }
}

resource "aws_appautoscaling_target" "worker" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster}/${aws_ecs_service.worker.name}"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
}
