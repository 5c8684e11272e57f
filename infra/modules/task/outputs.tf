output "task_role_arn" {
  description = "ARN of the task role, which the process has."
  value       = aws_iam_role.task.arn
  depends_on  = [aws_iam_role_policy.task]
}

output "execution_role_arn" {
  description = "ARN of the execution role, with which ECS starts the task."
  value       = aws_iam_role.execution.arn
  depends_on  = [aws_iam_role_policy.execution, aws_iam_role_policy_attachment.execution]
}

output "environment" {
  description = "Environment variables: name to value."
  value       = local.environment
}

output "secrets" {
  description = "Environment variables from Secrets Manager: name to ARN."
  value       = var.console ? { RECEIPTS_API_TOKEN = var.token_secret_arn } : {}
}

output "log_group" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.task.name
}
