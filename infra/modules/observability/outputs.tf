output "topic_arn" {
  description = "ARN of the SNS topic of the alarms."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "Address of the dashboard."
  value       = "https://${local.region}.console.aws.amazon.com/cloudwatch/home?region=${local.region}#dashboards/dashboard/${var.name}"
}
