# Alarms, their recipients, and what to do about each. Every metric is emitted by the worker (worker/telemetry.py) or
# documented by AWS; tests/infra checks names, namespaces and dimensions against both.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region

  work = { QueueName = var.queue_name }
  dead = { QueueName = var.dead_letter_queue_name }
  ours = { Service = var.service }
  ecs  = { ClusterName = var.cluster, ServiceName = var.ecs_service }

  # Dependencies with a breaker, by the worker's names.
  dependencies = toset(["sqs", "s3", "sagemaker", "dynamodb", "machine"])
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:*:cloudwatch:${local.region}:${data.aws_caller_identity.current.account_id}:alarm:${var.name}-*" }
      }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  # Each alarm has either one metric, or several with an expression. It fires after `minutes` beyond the threshold.
  alarms = merge(
    {
      oldest-message = {
        cure      = "Receipts wait too long. If the fleet is at max_tasks (dashboard: tasks), raise max_tasks or the endpoint's capacity. If not, check throttles and breakers: the endpoint is the limit."
        metrics   = { age = { namespace = "AWS/SQS", name = "ApproximateAgeOfOldestMessage", stat = "Maximum", dimensions = local.work } }
        above     = var.thresholds.oldest_message_s
        minutes   = 5
        period_s  = 60
        or_equal  = false
        missing   = "notBreaching"
        combining = null
      }
      stalled = {
        cure = "Messages wait and none is finished. Find the last error in the workers' log. `receipts doctor` shows what cannot be reached. If health checks pass nevertheless, restart the service."
        metrics = {
          waiting = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", stat = "Minimum", dimensions = local.work }
          deleted = { namespace = "AWS/SQS", name = "NumberOfMessagesDeleted", stat = "Sum", dimensions = local.work }
        }
        combining = "IF(waiting > 0 AND FILL(deleted, 0) < 1, 1, 0)"
        above     = 1
        minutes   = 15
        period_s  = 300
        or_equal  = true
        missing   = "notBreaching"
      }
      dead-letters = {
        cure      = "The dead-letter queue has messages. Their attribute `reason` says why. Fix the cause. `receipts replay --dead-letters` counts them; with --yes it enqueues them again."
        metrics   = { dead = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", stat = "Maximum", dimensions = local.dead } }
        above     = 0
        minutes   = 1
        period_s  = 60
        or_equal  = false
        missing   = "notBreaching"
        combining = null
      }
      failures = {
        cure = "Too many receipts fail. `receipts list --status failed` shows the reasons. If all have the same reason, fix the endpoint or its protocol, then run `receipts replay --status failed --yes`. If the reasons differ, check the uploads."
        metrics = {
          extracted = { namespace = "Receipts", name = "Extracted", stat = "Sum", dimensions = local.ours }
          review    = { namespace = "Receipts", name = "NeedsReview", stat = "Sum", dimensions = local.ours }
          rejected  = { namespace = "Receipts", name = "Rejected", stat = "Sum", dimensions = local.ours }
          failed    = { namespace = "Receipts", name = "Failed", stat = "Sum", dimensions = local.ours }
          dead      = { namespace = "Receipts", name = "DeadLettered", stat = "Sum", dimensions = local.ours }
        }
        combining = "(FILL(failed, 0) + FILL(dead, 0)) / (FILL(extracted, 0) + FILL(review, 0) + FILL(rejected, 0) + FILL(failed, 0) + FILL(dead, 0))"
        above     = var.thresholds.failed_share
        minutes   = 15
        period_s  = 900
        or_equal  = false
        missing   = "notBreaching"
      }
      throttles = {
        cure = "The endpoint throttles calls. The workers slow down by themselves. If it continues, give the endpoint more instances (model.max_instances) or lower max_tasks."
        metrics = {
          throttled = { namespace = "Receipts", name = "Throttles", stat = "Sum", dimensions = local.ours }
          calls     = { namespace = "Receipts", name = "Invocations", stat = "Sum", dimensions = local.ours }
        }
        combining = "FILL(throttled, 0) / calls"
        above     = var.thresholds.throttled_share
        minutes   = 15
        period_s  = 300
        or_equal  = false
        missing   = "notBreaching"
      }
      no-worker = {
        cure = "Messages wait and no task runs. Check the service events in ECS: can it pull the image, find capacity, read its secrets? If tasks stop at once with exit code 2, a setting is not valid; the log names it."
        metrics = {
          waiting = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", stat = "Minimum", dimensions = local.work }
          running = { namespace = "ECS/ContainerInsights", name = "RunningTaskCount", stat = "Maximum", dimensions = local.ecs }
        }
        combining = "IF(waiting > 0 AND FILL(FILL(running, REPEAT), 0) < 1, 1, 0)"
        above     = 1
        minutes   = var.thresholds.no_worker_min
        period_s  = 60
        or_equal  = true
        missing   = "notBreaching"
      }
      silent-worker = {
        cure      = "A worker runs but does not poll the queue, although it could. Stop the task: ECS starts another, and its messages become visible again."
        metrics   = { silent = { namespace = "Receipts", name = "SecondsSinceReceive", stat = "Maximum", dimensions = local.ours } }
        above     = var.thresholds.silent_s
        minutes   = 5
        period_s  = 60
        or_equal  = false
        missing   = "notBreaching"
        combining = null
      }
      review-queue = {
        cure      = "More receipts need a review than planned. See `receipts list --status needs_review`. If the same check fails for all, check the model or its prompt. If not, lower RECEIPTS_REVIEW_THRESHOLD or review more."
        metrics   = { review = { namespace = "Receipts", name = "NeedsReview", stat = "Sum", dimensions = local.ours } }
        above     = var.thresholds.review_per_day
        minutes   = 1440
        period_s  = 86400
        or_equal  = false
        missing   = "notBreaching"
        combining = null
      }
    },
    {
      for dependency in local.dependencies : "breaker-${dependency}" => {
        cure      = dependency == "machine" ? "The tasks lack memory, file descriptors or disk, so pictures wait; nothing is lost. The task's log has the reason. Give the tasks more memory or a higher nofile limit, or lower RECEIPTS_MAX_IN_FLIGHT." : "${dependency} is unavailable to the workers. They wait and keep their messages; nothing is lost. AWS Health and the service's metrics show the cause. Work continues by itself once the service is available again."
        metrics   = { open = { namespace = "Receipts", name = "BreakerOpen", stat = "Maximum", dimensions = merge(local.ours, { Dependency = dependency }) } }
        above     = 1
        minutes   = var.thresholds.breaker_open_min
        period_s  = 60
        or_equal  = true
        missing   = "notBreaching"
        combining = null
      }
    },
    {
      for variant in var.variants : "endpoint-errors-${lower(variant)}" => {
        cure      = "The model answers with errors. Its log is /aws/sagemaker/Endpoints/${var.endpoint}. If the model is new, go back to the old one, then run `receipts replay --status failed --yes`."
        metrics   = { errors = { namespace = "AWS/SageMaker", name = "Invocation5XXErrors", stat = "Sum", dimensions = { EndpointName = var.endpoint, VariantName = variant } } }
        above     = var.thresholds.endpoint_errors
        minutes   = 10
        period_s  = 300
        or_equal  = false
        missing   = "notBreaching"
        combining = null
      }
    },
    {
      for variant in var.variants : "endpoint-latency-${lower(variant)}" => {
        cure      = "The model is close to SageMaker's limit of 60 s. Use more or larger instances, smaller pictures (RECEIPTS_MAX_SIDE) or shorter answers (RECEIPTS_CHAT_MAX_TOKENS)."
        metrics   = { latency = { namespace = "AWS/SageMaker", name = "ModelLatency", stat = "p95", dimensions = { EndpointName = var.endpoint, VariantName = variant } } }
        above     = var.thresholds.endpoint_latency_s * 1000000 # the metric counts microseconds
        minutes   = 15
        period_s  = 300
        or_equal  = false
        missing   = "notBreaching"
        combining = null
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "all" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.cure
  comparison_operator = each.value.or_equal ? "GreaterThanOrEqualToThreshold" : "GreaterThanThreshold"
  threshold           = each.value.above
  evaluation_periods  = max(1, floor(each.value.minutes * 60 / each.value.period_s))
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  dynamic "metric_query" {
    for_each = each.value.metrics
    content {
      id          = metric_query.key
      return_data = each.value.combining == null
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.stat
        period      = each.value.period_s
      }
    }
  }
  dynamic "metric_query" {
    for_each = each.value.combining == null ? [] : [each.value.combining]
    content {
      id          = "combined"
      label       = each.key
      expression  = metric_query.value
      return_data = true
    }
  }
}
