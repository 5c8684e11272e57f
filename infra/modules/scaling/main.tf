# Scaling by the backlog. Expressions and numbers match `receipts scale plan` (worker/workbench/scaling/plan.py
# explains them); tests/infra compares the two.

locals {
  tracking = var.policy == "target_tracking"

  demand = "(visible + ${var.scaling.in_flight_weight} * in_flight)"
  room   = 1.25 # a task is removed only if the others could do this many times the work
  last   = "IF(${local.demand} == 0 AND FILL(sent, 0) > 0, 1, 0)"

  # Steps as printed by `receipts scale plan --tfvars`, or else computed from the numbers.
  tasks     = coalesce(var.scaling.tasks_metric, "FILL(FILL(desired_tasks, REPEAT), 0)")
  shortfall = coalesce(var.scaling.shortfall_metric, "CEIL(${local.demand} / ${var.scaling.backlog_per_task}) - tasks")
  surplus   = coalesce(var.scaling.surplus_metric, "tasks - CEIL(${local.room} * ${local.demand} / ${var.scaling.backlog_per_task}) - ${local.last}")
  per_task  = coalesce(var.scaling.backlog_metric, "${local.demand} / IF(tasks < 1, 1, tasks)")
  first     = "IF(tasks < 1, visible, 0)"

  metrics = {
    visible       = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", stat = "Maximum", dimensions = { QueueName = var.queue_name } }
    in_flight     = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesNotVisible", stat = "Maximum", dimensions = { QueueName = var.queue_name } }
    sent          = { namespace = "AWS/SQS", name = "NumberOfMessagesSent", stat = "Sum", dimensions = { QueueName = var.queue_name } }
    desired_tasks = { namespace = "ECS/ContainerInsights", name = "DesiredTaskCount", stat = "Average", dimensions = { ClusterName = var.cluster, ServiceName = var.service } }
  }

  one_by_one = [
    for tasks in range(1, min(var.scaling.max_tasks, 20) + 1) : { # more than 20 tasks require explicit steps
      from_tasks = tasks
      to_tasks   = tasks == var.scaling.max_tasks ? null : tasks + 1
      tasks      = tasks
    }
  ]
  steps     = var.scaling.steps != null ? var.scaling.steps : local.one_by_one
  first_one = [{ from_tasks = 1, to_tasks = null, tasks = 1 }]

  # Step policies, each with the alarm that drives it.
  stepped = {
    for name, step in {
      shortfall = { when = !local.tracking, expression = local.shortfall, data_points = var.scaling.scale_out_data_points, steps = local.steps, sign = 1, reads = ["visible", "in_flight", "desired_tasks"] }
      surplus   = { when = !local.tracking, expression = local.surplus, data_points = var.scaling.scale_in_data_points, steps = local.steps, sign = -1, reads = ["visible", "in_flight", "sent", "desired_tasks"] }
      first     = { when = local.tracking, expression = local.first, data_points = 1, steps = local.first_one, sign = 1, reads = ["visible", "desired_tasks"] }
    } : name => step if step.when
  }
}

resource "aws_appautoscaling_policy" "step" {
  for_each           = local.stepped
  name               = "${var.name}-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster}/${var.service}"

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = var.scaling.cooldown_s
    metric_aggregation_type = "Maximum"

    # Bounds are relative to the alarm's threshold, which is one task.
    dynamic "step_adjustment" {
      for_each = each.value.steps
      content {
        metric_interval_lower_bound = step_adjustment.value.from_tasks - 1
        metric_interval_upper_bound = step_adjustment.value.to_tasks == null ? null : step_adjustment.value.to_tasks - 1
        scaling_adjustment          = each.value.sign * step_adjustment.value.tasks
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "step" {
  for_each            = local.stepped
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "Drives a scaling policy. It notifies no people."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = each.value.data_points
  treat_missing_data  = "ignore" # without data, nothing changes
  alarm_actions       = [aws_appautoscaling_policy.step[each.key].arn]

  dynamic "metric_query" {
    for_each = { for id in each.value.reads : id => local.metrics[id] }
    content {
      id          = metric_query.key
      return_data = false
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        period      = 60
        stat        = metric_query.value.stat
      }
    }
  }
  metric_query {
    id          = "tasks"
    expression  = local.tasks
    return_data = false
  }
  metric_query {
    id          = "decision"
    label       = each.key
    expression  = each.value.expression
    return_data = true
  }
}

resource "aws_appautoscaling_policy" "backlog" {
  count              = local.tracking ? 1 : 0
  name               = "${var.name}-backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster}/${var.service}"

  target_tracking_scaling_policy_configuration {
    target_value       = var.scaling.backlog_per_task
    scale_out_cooldown = var.scaling.cooldown_s
    scale_in_cooldown  = 60 # in addition to the 15 data points that AWS waits for

    customized_metric_specification {
      dynamic "metrics" {
        for_each = { for id in ["visible", "in_flight", "desired_tasks"] : id => local.metrics[id] }
        content {
          id          = metrics.key
          return_data = false
          metric_stat {
            stat = metrics.value.stat
            metric {
              namespace   = metrics.value.namespace
              metric_name = metrics.value.name
              dynamic "dimensions" {
                for_each = metrics.value.dimensions
                content {
                  name  = dimensions.key
                  value = dimensions.value
                }
              }
            }
          }
        }
      }
      metrics {
        id          = "tasks"
        expression  = local.tasks
        return_data = false
      }
      metrics {
        id          = "backlog_per_task"
        label       = "Backlog per task"
        expression  = local.per_task
        return_data = true
      }
    }
  }
}

# SQS stops sending metrics after six hours without a call on the queue, and needs up to 15 minutes to resume
# (docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html). A fleet of zero
# tasks makes no calls, so an hourly call keeps the metrics alive.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

locals {
  sleeps = var.scaling.min_tasks == 0
}

resource "aws_scheduler_schedule" "look" {
  count               = local.sleeps ? 1 : 0
  name                = "${var.name}-look"
  description         = "Keeps the metrics of the queue alive while no task runs."
  schedule_expression = "rate(1 hour)"

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }
  target {
    arn      = "arn:${data.aws_partition.current.partition}:scheduler:::aws-sdk:sqs:getQueueAttributes"
    role_arn = aws_iam_role.look[0].arn
    input    = jsonencode({ QueueUrl = var.queue_url, AttributeNames = ["ApproximateNumberOfMessages"] })
    retry_policy {
      maximum_retry_attempts = 2
    }
  }
}

resource "aws_iam_role" "look" {
  count       = local.sleeps ? 1 : 0
  name        = "${var.name}-look"
  description = "Permissions of the hourly call on the queue."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "look" {
  count = local.sleeps ? 1 : 0
  name  = "look"
  role  = aws_iam_role.look[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Look"
      Effect   = "Allow"
      Action   = "sqs:GetQueueAttributes"
      Resource = var.queue_arn
    }]
  })
}
