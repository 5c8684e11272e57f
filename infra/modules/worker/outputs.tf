output "service" {
  description = "Name of the service. It depends on the scalable target, so that policies are created after the target."
  value       = aws_ecs_service.worker.name
  depends_on  = [aws_appautoscaling_target.worker]
}
