# Tests of the modules by themselves, for properties that the roots do not expose.

mock_provider "aws" {
  source = "../mocks"
}

variables {
  name   = "receipts"
  region = "eu-central-1"
  image  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"
}

# ---- intake ----

run "an_upload_becomes_a_message" {
  command = apply
  module { source = "../modules/intake" }

  assert {
    condition     = one(aws_s3_bucket_notification.uploads[0].queue).queue_arn == aws_sqs_queue.work.arn && contains(one(aws_s3_bucket_notification.uploads[0].queue).events, "s3:ObjectCreated:*")
    error_message = "every created object goes to the work queue"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.work.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.dead_letter.arn, maxReceiveCount = 10 }
    error_message = "ten receives, then the dead-letter queue"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.work.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:s3:::receipts-123456789012-eu-central-1"
    error_message = "only this bucket may send"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.work.policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "and only of this account"
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.uploads[0].policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "nothing without TLS"
  }
  assert {
    condition     = aws_s3_bucket_versioning.uploads[0].versioning_configuration[0].status == "Enabled"
    error_message = "every version is kept for a while"
  }
}

run "only_images_and_pdfs_of_a_prefix" {
  command = apply
  module { source = "../modules/intake" }
  variables {
    filters = [
      { prefix = "in/", suffix = ".jpg" },
      { prefix = "in/", suffix = ".pdf" },
    ]
  }

  assert {
    condition     = toset([for queue in aws_s3_bucket_notification.uploads[0].queue : "${queue.filter_prefix}*${queue.filter_suffix}"]) == toset(["in/*.jpg", "in/*.pdf"])
    error_message = "one notification a filter"
  }
}

run "by_way_of_eventbridge" {
  command = apply
  module { source = "../modules/intake" }
  variables {
    delivery = "eventbridge"
    filters  = [{ suffix = ".pdf" }]
  }

  assert {
    condition     = aws_s3_bucket_notification.uploads[0].eventbridge && length(aws_s3_bucket_notification.uploads[0].queue) == 0
    error_message = "the bucket tells EventBridge, not the queue"
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.uploads[0].event_pattern).detail.object.key == [{ wildcard = "*.pdf" }]
    error_message = "the rule filters as the notification would"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.work.policy).Statement[0].Principal.Service == "events.amazonaws.com" && jsondecode(aws_sqs_queue_policy.work.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == aws_cloudwatch_event_rule.uploads[0].arn
    error_message = "only this rule may send"
  }
  assert {
    condition     = aws_cloudwatch_event_target.work[0].dead_letter_config[0].arn == aws_sqs_queue.dead_letter.arn && jsondecode(aws_sqs_queue_policy.dead_letter.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == aws_cloudwatch_event_rule.uploads[0].arn
    error_message = "events that EventBridge cannot deliver within a day go to the dead-letter queue"
  }
}

run "by_way_of_sns" {
  command = apply
  module { source = "../modules/intake" }
  variables { delivery = "sns" }

  assert {
    condition     = one(aws_s3_bucket_notification.uploads[0].topic).topic_arn == aws_sns_topic.uploads[0].arn
    error_message = "the bucket tells the topic"
  }
  assert {
    condition     = aws_sns_topic_subscription.work[0].endpoint == aws_sqs_queue.work.arn
    error_message = "the topic tells the queue"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.work.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == aws_sns_topic.uploads[0].arn
    error_message = "only this topic may send"
  }
}

run "a_bucket_that_is_there" {
  command = apply
  module { source = "../modules/intake" }
  variables {
    existing_bucket     = "our-scans"
    manage_notification = false
  }

  assert {
    condition     = length(aws_s3_bucket.uploads) == 0 && length(aws_s3_bucket_notification.uploads) == 0
    error_message = "the bucket is left unchanged"
  }
  assert {
    condition     = jsondecode(output.notification).QueueConfigurations[0].QueueArn == aws_sqs_queue.work.arn
    error_message = "an output holds the notification to add by hand"
  }
}

run "filters_that_match_the_same_key" {
  command = plan
  module { source = "../modules/intake" }
  variables { filters = [{ suffix = ".jpg" }, { prefix = "in/" }] }
  expect_failures = [var.filters]
}

run "filters_that_eventbridge_takes" {
  command = apply
  module { source = "../modules/intake" }
  variables {
    delivery = "eventbridge"
    filters  = [{ suffix = ".jpg" }, { prefix = "in/" }]
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_event_rule.uploads[0].event_pattern).detail.object.key) == 2
    error_message = "either filter is enough"
  }
}

run "uploads_that_are_kept_for_a_time" {
  command = apply
  module { source = "../modules/intake" }
  variables {
    archive_days    = 30
    expire_days     = 3650
    noncurrent_days = 7
  }

  assert {
    condition     = one(one(aws_s3_bucket_lifecycle_configuration.uploads[0].rule).expiration).days == 3650 && one(one(aws_s3_bucket_lifecycle_configuration.uploads[0].rule).noncurrent_version_expiration).noncurrent_days == 7
    error_message = "uploads and their versions expire"
  }
}

run "archived_after_they_are_deleted" {
  command = plan
  module { source = "../modules/intake" }
  variables {
    archive_days = 30
    expire_days  = 10
  }
  expect_failures = [var.archive_days]
}

# ---- network ----

run "tasks_reach_what_they_use_and_nothing_else" {
  command = apply
  module { source = "../modules/network" }
  variables {
    bucket_arns = ["arn:aws:s3:::uploads"]
    table_arns  = ["arn:aws:dynamodb:eu-central-1:123456789012:table/receipts"]
  }

  assert {
    condition     = length(aws_internet_gateway.main) == 0 && length(aws_subnet.private) == 2
    error_message = "two zones, no way to the internet"
  }
  assert {
    condition     = toset([for endpoint in aws_vpc_endpoint.interface : trimprefix(endpoint.service_name, "com.amazonaws.eu-central-1.")]) == toset(["sqs", "sagemaker.runtime", "ecr.api", "ecr.dkr", "logs", "sts"])
    error_message = "an interface endpoint for each service that a task calls"
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "under their usual names"
  }
  assert {
    condition     = flatten([for statement in jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement : statement.Resource]) == ["arn:aws:s3:::uploads", "arn:aws:s3:::uploads/*", "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/*"]
    error_message = "through S3's gateway the one bucket, and the layers of images"
  }
  assert {
    condition     = jsondecode(aws_vpc_endpoint.gateway["dynamodb"].policy).Statement[0].Resource[0] == "arn:aws:dynamodb:eu-central-1:123456789012:table/receipts"
    error_message = "through DynamoDB's gateway the one table"
  }
  assert {
    condition     = alltrue([for rule in concat([aws_vpc_security_group_egress_rule.tasks_to_endpoints], values(aws_vpc_security_group_egress_rule.tasks_to_gateways)) : rule.cidr_ipv4 == null && rule.from_port == 443 && rule.to_port == 443])
    error_message = "tasks go out to endpoints and gateways on 443, and to no address"
  }
}

run "one_zone_is_none_for_a_load_balancer" {
  command = plan
  module { source = "../modules/network" }
  variables {
    public = true
    zones  = 1
  }
  expect_failures = [var.zones]
}

run "addresses_that_are_none" {
  command = plan
  module { source = "../modules/network" }
  variables { cidr = "10.73.0.7/20" }
  expect_failures = [var.cidr]
}

# ---- scaling ----

run "steps_follow_the_backlog" {
  command = apply
  module { source = "../modules/scaling" }
  variables {
    cluster    = "receipts"
    service    = "receipts-worker"
    queue_name = "receipts"
    queue_url  = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
    queue_arn  = "arn:aws:sqs:eu-central-1:123456789012:receipts"
    scaling    = { min_tasks = 0, max_tasks = 3, backlog_per_task = 384, in_flight_weight = 15, scale_out_data_points = 1, scale_in_data_points = 5, cooldown_s = 120 }
  }

  assert {
    condition     = { for name, alarm in aws_cloudwatch_metric_alarm.step : name => one([for query in alarm.metric_query : query.expression if query.return_data]) }["shortfall"] == "CEIL((visible + 15 * in_flight) / 384) - tasks"
    error_message = "the shortfall of tasks adds them"
  }
  assert {
    condition = toset([for step in one(aws_appautoscaling_policy.step["shortfall"].step_scaling_policy_configuration).step_adjustment :
    "${step.metric_interval_lower_bound} ${coalesce(step.metric_interval_upper_bound, "-")} ${step.scaling_adjustment}"]) == toset(["0 1 1", "1 2 2", "2 - 3"])
    error_message = "a shortfall of n tasks adds n, without a gap between the steps"
  }
  assert {
    condition = toset([for step in one(aws_appautoscaling_policy.step["surplus"].step_scaling_policy_configuration).step_adjustment :
    "${step.metric_interval_lower_bound} ${coalesce(step.metric_interval_upper_bound, "-")} ${step.scaling_adjustment}"]) == toset(["0 1 -1", "1 2 -2", "2 - -3"])
    error_message = "a surplus of n tasks takes n away, down to zero"
  }
  assert {
    condition     = { for name, alarm in aws_cloudwatch_metric_alarm.step : name => alarm.evaluation_periods } == { shortfall = 1, surplus = 5 }
    error_message = "out on the first data point, in after five minutes"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.step : alarm.threshold == 1 && length(alarm.alarm_actions) == 1])
    error_message = "one task is enough, and the alarm drives its policy"
  }
  assert {
    condition     = jsondecode(aws_scheduler_schedule.look[0].target[0].input).QueueUrl == "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
    error_message = "an hourly call keeps the queue's metrics alive while no task runs"
  }
  assert {
    condition     = length(aws_appautoscaling_policy.backlog) == 0
    error_message = "one way of scaling at a time"
  }
}

run "target_tracking_with_a_step_out_of_zero" {
  command = apply
  module { source = "../modules/scaling" }
  variables {
    policy     = "target_tracking"
    cluster    = "receipts"
    service    = "receipts-worker"
    queue_name = "receipts"
    queue_url  = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
    queue_arn  = "arn:aws:sqs:eu-central-1:123456789012:receipts"
    scaling    = { min_tasks = 0, max_tasks = 3, backlog_per_task = 384, in_flight_weight = 15, scale_out_data_points = 1, scale_in_data_points = 5, cooldown_s = 120 }
  }

  assert {
    condition     = one([for metric in one(one(aws_appautoscaling_policy.backlog[0].target_tracking_scaling_policy_configuration).customized_metric_specification).metrics : metric.expression if metric.return_data]) == "(visible + 15 * in_flight) / IF(tasks < 1, 1, tasks)"
    error_message = "waiting and in-flight messages, divided by at least one task"
  }
  assert {
    condition     = length(aws_appautoscaling_policy.step) == 1 && one(one(aws_appautoscaling_policy.step["first"].step_scaling_policy_configuration).step_adjustment).scaling_adjustment == 1
    error_message = "one step, from zero to one"
  }
  assert {
    condition     = one([for query in aws_cloudwatch_metric_alarm.step["first"].metric_query : query.expression if query.return_data]) == "IF(tasks < 1, visible, 0)" && aws_cloudwatch_metric_alarm.step["first"].evaluation_periods == 1
    error_message = "on the first message that waits"
  }
}

# ---- worker ----

run "the_worker_can_stop_in_peace" {
  command = apply
  module { source = "../modules/worker" }
  variables {
    cluster            = "receipts"
    cpu                = 256
    memory             = 512
    architecture       = "ARM64"
    task_role_arn      = "arn:aws:iam::123456789012:role/task"
    execution_role_arn = "arn:aws:iam::123456789012:role/execution"
    environment        = { RECEIPTS_TABLE = "receipts" }
    log_group          = "/receipts"
    stop_timeout_s     = 120
    subnets            = ["subnet-0123456789abcdef0"]
    security_groups    = ["sg-0123456789abcdef0"]
    min_tasks          = 0
    max_tasks          = 10
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].stopTimeout == 120
    error_message = "120 s from SIGTERM to SIGKILL"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].readonlyRootFilesystem
    error_message = "the root file system is read-only"
  }
  assert {
    condition     = aws_ecs_service.worker.deployment_circuit_breaker[0].enable && aws_ecs_service.worker.deployment_circuit_breaker[0].rollback
    error_message = "a deployment that fails is rolled back"
  }
  assert {
    condition     = { for strategy in aws_ecs_service.worker.capacity_provider_strategy : strategy.capacity_provider => strategy.weight } == { FARGATE = 25, FARGATE_SPOT = 75 }
    error_message = "three quarters on Spot"
  }
  assert {
    condition     = length(aws_ecs_service.worker.load_balancer) == 0 && aws_appautoscaling_target.worker.min_capacity == 0
    error_message = "no load balancer, and down to zero"
  }
}

run "a_size_that_fargate_has_not" {
  command = plan
  module { source = "../modules/worker" }
  variables {
    cluster            = "receipts"
    cpu                = 256
    memory             = 4096
    architecture       = "ARM64"
    task_role_arn      = "arn:aws:iam::123456789012:role/task"
    execution_role_arn = "arn:aws:iam::123456789012:role/execution"
    environment        = {}
    log_group          = "/receipts"
    stop_timeout_s     = 121
    spot_share         = 2
    subnets            = ["subnet-0123456789abcdef0"]
    security_groups    = ["sg-0123456789abcdef0"]
    min_tasks          = 0
    max_tasks          = 10
  }
  expect_failures = [var.memory, var.stop_timeout_s, var.spot_share]
}

# ---- task ----

run "the_worker_may_no_more_than_it_does" {
  command = apply
  module { source = "../modules/task" }
  variables {
    service               = "receipts"
    bucket                = "uploads"
    bucket_arn            = "arn:aws:s3:::uploads"
    queue_url             = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
    queue_arn             = "arn:aws:sqs:eu-central-1:123456789012:receipts"
    dead_letter_queue_arn = "arn:aws:sqs:eu-central-1:123456789012:receipts-dead-letter"
    table                 = "receipts"
    table_arn             = "arn:aws:dynamodb:eu-central-1:123456789012:table/receipts"
    endpoint              = "receipts"
    endpoint_arn          = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/receipts"
    protocol              = "image"
    cluster               = "receipts"
    stop_timeout_s        = 120
    visibility_timeout_s  = 120
    receive_wait_s        = 20
    slots                 = 32
    log_retention_days    = 30
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : alltrue([for arn in flatten([statement.Resource]) : startswith(arn, "arn:aws:")])])
    error_message = "every statement of the task role names its resources"
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : statement.Sid if statement.Resource == "*"] == ["SignInToEcr"]
    error_message = "only actions without resource-level permissions are allowed on all resources"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : statement.Resource if statement.Sid == "PullTheImage"]) == "arn:aws:ecr:eu-central-1:123456789012:repository/receipts-worker"
    error_message = "only the image's own repository"
  }
  assert {
    condition     = length(output.secrets) == 0
    error_message = "a worker has no token"
  }
}

run "with_keys_a_token_and_an_inference_component" {
  command = apply
  module { source = "../modules/task" }
  variables {
    service               = "receipts"
    console               = true
    bucket                = "uploads"
    bucket_arn            = "arn:aws:s3:::uploads"
    queue_url             = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
    queue_arn             = "arn:aws:sqs:eu-central-1:123456789012:receipts"
    dead_letter_queue_arn = "arn:aws:sqs:eu-central-1:123456789012:receipts-dead-letter"
    table                 = "receipts"
    table_arn             = "arn:aws:dynamodb:eu-central-1:123456789012:table/receipts"
    endpoint              = "receipts"
    endpoint_arn          = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/receipts"
    protocol              = "image"
    cluster               = "receipts"
    stop_timeout_s        = 120
    visibility_timeout_s  = 120
    receive_wait_s        = 20
    slots                 = 32
    log_retention_days    = 30
    settings              = { RECEIPTS_INFERENCE_COMPONENT = "Reader-1" }
    token_secret_arn      = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf"
    token_kms_key_arns    = ["arn:aws:kms:eu-central-1:123456789012:key/token"]
    kms_key_arns          = ["arn:aws:kms:eu-central-1:123456789012:key/bucket", "arn:aws:kms:eu-central-1:123456789012:key/stack"]
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement if statement.Sid == "UseTheKeys"]).Resource == ["arn:aws:kms:eu-central-1:123456789012:key/bucket", "arn:aws:kms:eu-central-1:123456789012:key/stack"]
    error_message = "the task may use the keys of bucket, queues and table"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.execution[0].policy).Statement : statement if statement.Sid == "UseTheKeyOfTheToken"]).Resource == ["arn:aws:kms:eu-central-1:123456789012:key/token"]
    error_message = "ECS may decrypt the token and nothing else"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement if statement.Sid == "AskTheModel"]).Resource == ["arn:aws:sagemaker:eu-central-1:123456789012:endpoint/receipts", "arn:aws:sagemaker:eu-central-1:123456789012:inference-component/Reader-1"]
    error_message = "a call of an inference component needs both"
  }
}

# ---- model ----

run "a_canary_beside_the_model" {
  command = apply
  module { source = "../modules/model" }
  variables {
    model  = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0" }
    canary = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:2.0.0" }
  }

  assert {
    condition     = { for variant in aws_sagemaker_endpoint_configuration.model[0].production_variants : variant.variant_name => variant.initial_variant_weight } == { main = 1, canary = 0.1 }
    error_message = "the new model gets an eleventh of the calls"
  }
  assert {
    condition     = one(one(aws_appautoscaling_policy.model[0].target_tracking_scaling_policy_configuration).predefined_metric_specification).predefined_metric_type == "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    error_message = "the endpoint scales on concurrent requests"
  }
  assert {
    condition     = aws_cloudwatch_log_group.model[0].name == "/aws/sagemaker/Endpoints/receipts" && aws_cloudwatch_log_group.model[0].retention_in_days == 30
    error_message = "the container's log expires"
  }
}

run "a_canary_beside_what_is_not_ours" {
  command = plan
  module { source = "../modules/model" }
  variables {
    existing_endpoint = "gemma"
    canary            = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:2.0.0" }
  }
  expect_failures = [var.canary]
}

run "a_canary_beside_a_serverless_model" {
  command = plan
  module { source = "../modules/model" }
  variables {
    model  = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0", serverless = {} }
    canary = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:2.0.0" }
  }
  expect_failures = [var.canary]
}
