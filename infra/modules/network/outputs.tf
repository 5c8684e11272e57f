output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.main.id
}

output "private_subnets" {
  description = "Subnets of the tasks."
  value       = [for subnet in aws_subnet.private : subnet.id]
}

output "public_subnets" {
  description = "Public subnets for a load balancer. Empty if none are created."
  value       = [for subnet in aws_subnet.public : subnet.id]
}

output "tasks_security_group" {
  description = "Security group of the tasks."
  value       = aws_security_group.tasks.id
}
