# Real Terraform with a mocked AWS: run `terraform test` in this folder. It creates nothing.

mock_provider "aws" {
  source = "../mocks"
}

variables {
  region = "eu-central-1"
  image  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"
  model  = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0" }
}

run "workers_alone" {
  command = apply

  assert {
    condition     = length(module.console) == 0 && length(module.token) == 0
    error_message = "no console unless asked for"
  }
  assert {
    condition     = module.worker_task.environment.RECEIPTS_STOP_TIMEOUT_S == "120" && module.worker_task.environment.RECEIPTS_DRAIN_S == "110"
    error_message = "the worker knows its stop timeout, and drains within it"
  }
  assert {
    condition     = module.scaling.resource_id == "service/receipts/receipts-worker"
    error_message = "the policies belong to the worker's scalable target"
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
    error_message = "the load balancer is in public subnets, in two zones"
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
    error_message = "no VPC is created"
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

# Invalid and unknown inputs are refused at plan time.

run "names_that_collide_with_another_stacks" {
  command = plan
  variables { name = "receipts-worker" }
  expect_failures = [var.name]
}

run "an_image_without_a_tag" {
  command = plan
  variables { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker" }
  expect_failures = [var.image]
}

run "an_arn_where_a_name_belongs" {
  command = plan
  variables {
    endpoint = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/gemma"
    model    = null
    bucket   = "s3://our-scans"
  }
  expect_failures = [var.endpoint, var.bucket]
}

run "attributes_that_nobody_reads" {
  command = plan
  variables {
    model            = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0", max_instance = 8 }
    canary           = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:2.0.0", share = 0.1 }
    alarm_thresholds = { failed_percent = 5 }
  }
  expect_failures = [var.model, var.canary, var.alarm_thresholds]
}

run "half_a_task" {
  command = plan
  variables { scaling = { max_tasks = 2.5, backlog_per_task = 0 } }
  expect_failures = [var.scaling]
}

run "a_sign_in_that_its_load_balancer_cannot_ask" {
  command = plan
  variables {
    console = {
      certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
      allowed_cidrs   = ["10.0.0.0/8"]
      internal        = true
    }
    oidc = {
      issuer                 = "https://login.example.com"
      authorization_endpoint = "https://login.example.com/authorize"
      token_endpoint         = "https://login.example.com/token"
      user_info_endpoint     = "https://login.example.com/userinfo"
      client_id              = "receipts"
      client_secret          = "none"
    }
  }
  expect_failures = [var.oidc]
}
