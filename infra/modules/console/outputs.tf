output "host" {
  description = "Name of the load balancer: what the console's host name is a CNAME or alias of."
  value       = aws_lb.console.dns_name
}

output "zone_id" {
  description = "Hosted zone of the load balancer, for a Route 53 alias."
  value       = aws_lb.console.zone_id
}

output "service" {
  description = "Name of the service."
  value       = aws_ecs_service.console.name
}
