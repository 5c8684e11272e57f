locals {
  console_url = try("https://${trimprefix(aws_ecs_express_gateway_service.main.ingress_paths[0].endpoint, "https://")}", null)
}

output "console_url" {
  description = "Address of the console."
  value       = local.console_url
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
  value       = aws_ecs_express_gateway_service.main.service_name
}

output "notification" {
  description = "The bucket's notification, if something else manages it."
  value       = module.intake.notification
}

output "environment" {
  description = "Settings for `receipts` on your own machine: `terraform output -json environment`."
  value       = { for name, value in module.task.environment : name => value if !startswith(name, "RECEIPTS_HTTP_") }
}

output "next" {
  description = "Commands to run next."
  value       = <<-EOT
    # upload a receipt, and show its record
    aws s3 cp receipt.jpg s3://${module.intake.bucket}/receipt.jpg --region ${var.region}
    aws dynamodb get-item --region ${var.region} --table-name ${module.results.table} --key '{"document": {"S": "${module.intake.bucket}/receipt.jpg"}}'
    # print the token of the console, which is at ${coalesce(local.console_url, "the address that ECS shows")}
    aws secretsmanager get-secret-value --region ${var.region} --secret-id ${local.token_arn} --query SecretString --output text
    # follow the log
    aws logs tail ${module.task.log_group} --region ${var.region} --follow
    # use the command line from here
    export AWS_REGION=${var.region} RECEIPTS_QUEUE_URL=${module.intake.queue_url} RECEIPTS_TABLE=${module.results.table} RECEIPTS_BUCKET=${module.intake.bucket} RECEIPTS_ENDPOINT=${module.model.endpoint} RECEIPTS_PROTOCOL=${var.protocol}
    receipts doctor
  EOT
}
