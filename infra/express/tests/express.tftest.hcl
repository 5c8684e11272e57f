# Real Terraform with a mocked AWS: run `terraform test` in this folder. It creates nothing.

mock_provider "aws" {
  source = "../mocks"
}

variables {
  region = "eu-central-1"
  image  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"
  model  = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0" }
}

run "one_service_scaled_on_queue_depth" {
  command = apply

  assert {
    condition     = aws_ecs_express_gateway_service.main.primary_container[0].container_port == 8000
    error_message = "the console answers on 8000"
  }
  assert {
    condition     = aws_ecs_express_gateway_service.main.health_check_path == "/health"
    error_message = "the load balancer checks /health"
  }
  assert {
    condition     = aws_ecs_express_gateway_service.main.cpu == "512" && aws_ecs_express_gateway_service.main.memory == "1024"
    error_message = "cpu and memory are set, not defaulted"
  }
  assert {
    condition     = aws_ecs_express_gateway_service.main.scaling_target[0].auto_scaling_metric == "AVERAGE_CPU" && aws_ecs_express_gateway_service.main.scaling_target[0].auto_scaling_target_value == 100
    error_message = "Express Mode's own metric never decides"
  }
  assert {
    condition     = aws_ecs_express_gateway_service.main.scaling_target[0].min_task_count == 1 && aws_ecs_express_gateway_service.main.scaling_target[0].max_task_count == 10
    error_message = "one to ten tasks"
  }
  assert {
    condition     = one([for secret in aws_ecs_express_gateway_service.main.primary_container[0].secret : secret.value_from]) == module.token[0].arn
    error_message = "the console's token comes from Secrets Manager"
  }
  assert {
    condition     = module.task.environment.RECEIPTS_CONSOLE == "true"
    error_message = "worker and console in one process"
  }

  assert {
    condition     = endswith(aws_iam_role_policy_attachment.infrastructure.policy_arn, ":iam::aws:policy/service-role/AmazonECSInfrastructureRoleforExpressGatewayServices")
    error_message = "Express Mode's infrastructure role has AWS's policy"
  }
  assert {
    condition     = jsondecode(aws_iam_role.infrastructure.assume_role_policy).Statement[0].Principal.Service == "ecs.amazonaws.com"
    error_message = "ECS takes the infrastructure role"
  }

  assert {
    condition     = module.scaling.resource_id == "service/receipts/receipts"
    error_message = "the policies belong to the Express service's own scalable target"
  }
  assert {
    condition     = module.scaling.expressions.shortfall == "CEIL((visible + 15 * in_flight) / 384) - tasks"
    error_message = "the shortfall of tasks adds them"
  }
}

run "by_target_tracking" {
  command = plan
  variables { scaling_policy = "target_tracking" }

  assert {
    condition     = module.scaling.expressions == { backlog = "(visible + 15 * in_flight) / IF(tasks < 1, 1, tasks)", first = "IF(tasks < 1, visible, 0)" }
    error_message = "target tracking on the backlog per task, and a step from zero"
  }
}

run "an_endpoint_that_is_there" {
  command = apply
  variables {
    endpoint = "Gemma-Receipts"
    model    = null
    protocol = "chat"
  }

  assert {
    condition     = module.model.endpoint == "Gemma-Receipts" && module.model.endpoint_arn == "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/gemma-receipts"
    error_message = "the endpoint's name is unchanged, but lowercase in its ARN"
  }
}

run "neither_endpoint_nor_model" {
  command = plan
  variables { model = null }
  expect_failures = [var.model]
}

run "no_task_at_all" {
  command = plan
  variables { scaling = { min_tasks = 0 } }
  expect_failures = [var.scaling]
}

run "a_fleet_that_needs_a_plan" {
  command = plan
  variables { scaling = { max_tasks = 50 } }
  expect_failures = [var.scaling]
}

run "a_setting_that_is_none" {
  command = plan
  variables { settings = { MAX_IN_FLIGHT = "8" } }
  expect_failures = [var.settings]
}

run "a_load_balancer_in_one_zone" {
  command = plan
  variables { subnets = ["subnet-0123456789abcdef0"] }
  expect_failures = [var.subnets]
}

run "a_size_that_fargate_has_not" {
  command = plan
  variables { memory = 512 }
  expect_failures = [var.memory]
}

run "names_that_collide_with_another_stacks" {
  command = plan
  variables { name = "receipts-console" }
  expect_failures = [var.name]
}
