output "service" {
  description = "Name of the service; known once its scalable target is there, so that policies come after it."
  value       = aws_ecs_service.worker.name
  depends_on  = [aws_appautoscaling_target.worker]
}
