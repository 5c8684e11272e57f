output "bucket" {
  description = "Name of the bucket of uploads."
  value       = local.bucket
}

output "bucket_arn" {
  description = "ARN of the bucket of uploads."
  value       = local.bucket_arn
}

output "queue_name" {
  description = "Name of the work queue."
  value       = aws_sqs_queue.work.name
}

output "queue_url" {
  description = "URL of the work queue."
  value       = aws_sqs_queue.work.url
}

output "queue_arn" {
  description = "ARN of the work queue."
  value       = aws_sqs_queue.work.arn
}

output "dead_letter_queue_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dead_letter.name
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dead_letter.url
}

output "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dead_letter.arn
}

output "topic_arn" {
  description = "ARN of the topic of upload events, if delivery is `sns`."
  value       = one(aws_sns_topic.uploads[*].arn)
}

output "notification" {
  description = "Entries to add to the bucket's notification configuration, if manage_notification is false."
  value = (var.delivery == "eventbridge"
    ? jsonencode({ EventBridgeConfiguration = {} })
    : jsonencode({
      (var.delivery == "sns" ? "TopicConfigurations" : "QueueConfigurations") = [
        for filter in local.filters : merge(
          { Events = local.events },
          { (var.delivery == "sns" ? "TopicArn" : "QueueArn") = (
            var.delivery == "sns" ? one(aws_sns_topic.uploads[*].arn) : aws_sqs_queue.work.arn
          ) },
          { Filter = { Key = { FilterRules = [
            for name, value in filter : { Name = name, Value = value } if value != ""
          ] } } },
        )
      ]
  }))
}

output "visibility_timeout_s" {
  description = "Visibility timeout of the work queue, in seconds."
  value       = var.visibility_timeout_s
}

output "receive_wait_s" {
  description = "Long-poll time of the work queue, in seconds."
  value       = var.receive_wait_s
}
