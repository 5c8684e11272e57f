output "arn" {
  description = "ARN of the secret."
  value       = aws_secretsmanager_secret.token.arn
  depends_on  = [aws_secretsmanager_secret_version.token]
}
