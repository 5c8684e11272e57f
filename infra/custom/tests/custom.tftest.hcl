# Real Terraform, mocked AWS: `terraform test` in this folder. Nothing is made anywhere.

mock_provider "aws" {
  source = "../mocks"
}

variables {
  region = "eu-central-1"
  image  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"
  model  = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-model:1.0.0" }
}

run "workers_alone" {
  command = apply

  assert {
    condition     = length(module.console) == 0 && length(module.token) == 0
    error_message = "no console unless asked for"
  }
  assert {
    condition     = module.worker_task.environment.RECEIPTS_STOP_TIMEOUT_S == "120" && module.worker_task.environment.RECEIPTS_DRAIN_S == "110"
    error_message = "the worker knows the time that ECS gives it, and drains within it"
  }
  assert {
    condition     = module.scaling.resource_id == "service/receipts/receipts-worker"
    error_message = "the policies stand on the worker's scalable target"
  }
}

run "with_a_console" {
  command = apply
  variables {
    console = {
      certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
      allowed_cidrs   = ["203.0.113.0/24"]
    }
  }

  assert {
    condition     = module.console_task[0].secrets == tomap({ RECEIPTS_API_TOKEN = module.token[0].arn })
    error_message = "the console has its token from Secrets Manager"
  }
  assert {
    condition     = module.console_task[0].environment.RECEIPTS_CONSOLE == "true" && !contains(keys(module.worker_task.environment), "RECEIPTS_CONSOLE")
    error_message = "the console is served by its own tasks, not by the workers"
  }
  assert {
    condition     = length(module.network[0].public_subnets) == 2
    error_message = "the load balancer stands in public subnets, in two zones"
  }
}

run "a_network_of_your_own" {
  command = apply
  variables {
    network = {
      create          = false
      vpc_id          = "vpc-0123456789abcdef0"
      subnets         = ["subnet-0123456789abcdef0"]
      security_groups = ["sg-0123456789abcdef0"]
    }
  }

  assert {
    condition     = length(module.network) == 0
    error_message = "no VPC is made"
  }
}

run "half_a_network" {
  command = plan
  variables { network = { create = false } }
  expect_failures = [var.network]
}

run "fewer_than_no_tasks" {
  command = plan
  variables { scaling = { min_tasks = 5, max_tasks = 3 } }
  expect_failures = [var.scaling]
}
