# The console and its API behind a load balancer with HTTPS.

data "aws_region" "current" {}

locals {
  port = 8000
  oidc = nonsensitive(var.oidc != null)
}

# ---- security groups ----

resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-alb"
  description = "Load balancer of the console: HTTPS in, tasks out."
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "console" {
  name        = var.name
  description = "Console tasks: in from their load balancer."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each          = var.allowed_cidrs
  security_group_id = aws_security_group.load_balancer.id
  description       = "People"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "to_tasks" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "Console tasks"
  referenced_security_group_id = aws_security_group.console.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "to_identity_provider" {
  count             = local.oidc ? 1 : 0
  security_group_id = aws_security_group.load_balancer.id
  description       = "The load balancer asks the identity provider itself"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "from_load_balancer" {
  security_group_id            = aws_security_group.console.id
  description                  = "Load balancer"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

# ---- the load balancer ----

resource "aws_lb" "console" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.load_balancer_subnets
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = 120 # for an upload of 40 MiB over a slow connection

  dynamic "access_logs" {
    for_each = var.log_bucket == null ? [] : [var.log_bucket]
    content {
      bucket  = access_logs.value
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "console" {
  name                 = var.name
  port                 = local.port
  protocol             = "HTTP" # inside the VPC; TLS ends at the load balancer
  target_type          = "ip"
  vpc_id               = var.vpc_id
  deregistration_delay = 30

  health_check {
    path                = "/health"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.console.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  dynamic "default_action" {
    for_each = local.oidc ? [1] : []
    content {
      type  = "authenticate-oidc"
      order = 1
      authenticate_oidc {
        issuer                 = var.oidc.issuer
        authorization_endpoint = var.oidc.authorization_endpoint
        token_endpoint         = var.oidc.token_endpoint
        user_info_endpoint     = var.oidc.user_info_endpoint
        client_id              = var.oidc.client_id
        client_secret          = var.oidc.client_secret
        scope                  = var.oidc.scope
        session_timeout        = var.oidc.session_timeout_s
      }
    }
  }
  default_action {
    type             = "forward"
    order            = local.oidc ? 2 : 1
    target_group_arn = aws_lb_target_group.console.arn
  }
}

# ---- the service ----

resource "aws_ecs_task_definition" "console" {
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

  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([{
    name                   = "console"
    image                  = var.image
    command                = var.command
    essential              = true
    stopTimeout            = 30
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp" }]
    portMappings           = [{ containerPort = local.port, protocol = "tcp" }]
    environment            = [for name, value in var.environment : { name = name, value = value }]
    secrets                = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = var.log_group
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = "console"
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }])
}

resource "aws_ecs_service" "console" {
  name            = var.name
  cluster         = var.cluster
  task_definition = aws_ecs_task_definition.console.arn
  desired_count   = var.tasks
  launch_type     = "FARGATE"

  health_check_grace_period_seconds = 60

  network_configuration {
    subnets         = var.task_subnets
    security_groups = concat(var.task_security_groups, [aws_security_group.console.id])
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.console.arn
    container_name   = "console"
    container_port   = local.port
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  propagate_tags          = "SERVICE"
  enable_ecs_managed_tags = true

  depends_on = [aws_lb_listener.https]
}
