output "console_host" {
  description = "Load balancer of the console. Make the certificate's host name a CNAME or alias of it."
  value       = one(module.console[*].host)
}

output "dashboard_url" {
  description = "Address of the dashboard."
  value       = module.observability.dashboard
}

output "region" {
  description = "AWS region."
  value       = var.region
}

output "bucket" {
  description = "Bucket of uploads."
  value       = module.intake.bucket
}

output "queue_url" {
  description = "URL of the work queue."
  value       = module.intake.queue_url
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = module.intake.dead_letter_queue_url
}

output "table" {
  description = "Results table."
  value       = module.results.table
}

output "endpoint" {
  description = "SageMaker endpoint."
  value       = module.model.endpoint
}

output "cluster" {
  description = "ECS cluster."
  value       = aws_ecs_cluster.main.name
}

output "service" {
  description = "ECS service of the workers."
  value       = module.worker.service
}

output "notification" {
  description = "The bucket's notification, if something else manages it."
  value       = module.intake.notification
}

output "environment" {
  description = "Settings for `receipts` on your own machine: `terraform output -json environment`."
  value       = { for name, value in module.worker_task.environment : name => value if !startswith(name, "RECEIPTS_HTTP_") }
}

output "next" {
  description = "Commands to run next."
  value = join("\n", concat(
    [
      "# upload a receipt, and show its record",
      "aws s3 cp receipt.jpg s3://${module.intake.bucket}/receipt.jpg --region ${var.region}",
      "aws dynamodb get-item --region ${var.region} --table-name ${module.results.table} --key '{\"document\": {\"S\": \"${module.intake.bucket}/receipt.jpg\"}}'",
    ],
    !local.console ? [] : [
      "# print the token of the console, which is behind the load balancer ${module.console[0].host}",
      "aws secretsmanager get-secret-value --region ${var.region} --secret-id ${local.token_arn} --query SecretString --output text",
    ],
    [
      "# the log",
      "aws logs tail ${module.worker_task.log_group} --region ${var.region} --follow",
      "# use the command line from here",
      "export AWS_REGION=${var.region} RECEIPTS_QUEUE_URL=${module.intake.queue_url} RECEIPTS_TABLE=${module.results.table} RECEIPTS_BUCKET=${module.intake.bucket} RECEIPTS_ENDPOINT=${module.model.endpoint} RECEIPTS_PROTOCOL=${var.protocol}",
      "receipts doctor",
      "",
    ],
  ))
}
