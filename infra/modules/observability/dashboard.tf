locals {
  # Rows of widgets, three per row.
  widgets = [
    [
      {
        title = "Queue: waiting, in flight, dead letters"
        metrics = [
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name, { label = "waiting" }],
          ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", var.queue_name, { label = "in flight" }],
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dead_letter_queue_name, { label = "dead letters" }],
        ]
        stat = "Maximum"
      },
      {
        title   = "Age of the oldest waiting message (s)"
        metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_name, { label = "age" }]]
        stat    = "Maximum"
      },
      {
        title = "Tasks"
        metrics = [
          ["ECS/ContainerInsights", "DesiredTaskCount", "ClusterName", var.cluster, "ServiceName", var.ecs_service, { label = "desired" }],
          ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster, "ServiceName", var.ecs_service, { label = "running" }],
        ]
        stat = "Average"
      },
    ],
    [
      {
        title = "Outcomes"
        metrics = [for name in ["Extracted", "NeedsReview", "Rejected", "Failed", "DeadLettered", "Retried", "Released"] :
          ["Receipts", name, "Service", var.service, { label = name }]
        ]
        stat = "Sum"
      },
      {
        title = "Endpoint calls, and throttled ones"
        metrics = [for name in ["Invocations", "Throttles"] :
          ["Receipts", name, "Service", var.service, { label = name }]
        ]
        stat = "Sum"
      },
      {
        title = "Receipts in flight, and the workers' limit of endpoint calls"
        metrics = [for name in ["InFlight", "InvocationLimit"] :
          ["Receipts", name, "Service", var.service, { label = name }]
        ]
        stat = "Average"
      },
    ],
    [
      {
        title   = "Age of a message at its outcome (s)"
        metrics = [for stat in ["p50", "p95", "p99"] : ["Receipts", "MessageAgeSeconds", "Service", var.service, { label = stat, stat = stat }]]
        stat    = "p95"
      },
      {
        title = "Model: latency of a call (ms)"
        metrics = concat([], [for index, variant in sort(var.variants) : [
          ["AWS/SageMaker", "ModelLatency", "EndpointName", var.endpoint, "VariantName", variant, { id = "m${index}", stat = "p95", visible = false }],
          [{ expression = "m${index} / 1000", label = "${variant} p95", id = "e${index}" }],
        ]]...)
        stat = "p95"
      },
      {
        title = "Breakers (1 = open)"
        metrics = [for dependency in sort(local.dependencies) :
          ["Receipts", "BreakerOpen", "Service", var.service, "Dependency", dependency, { label = dependency }]
        ]
        stat = "Maximum"
      },
    ],
  ]
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type       = "alarm"
        x          = 0
        y          = 0
        width      = 24
        height     = 3
        properties = { title = "Alarms", alarms = [for alarm in values(aws_cloudwatch_metric_alarm.all) : alarm.arn] }
      }],
      flatten([for row, widgets in local.widgets : [for column, widget in widgets : {
        type   = "metric"
        x      = column * 8
        y      = 3 + row * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          region  = local.region
          view    = "timeSeries"
          period  = 60
          stat    = widget.stat
          metrics = widget.metrics
          yAxis   = { left = { min = 0 } }
        }
      }]]),
    )
  })
}
