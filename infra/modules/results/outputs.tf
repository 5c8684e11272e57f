output "table" {
  description = "Name of the results table."
  value       = aws_dynamodb_table.results.name
}

output "table_arn" {
  description = "ARN of the results table."
  value       = aws_dynamodb_table.results.arn
}
