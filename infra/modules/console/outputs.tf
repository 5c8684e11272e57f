output "host" {
  description = "DNS name of the load balancer. Make the console's host name a CNAME or alias of it."
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
