output "resource_id" {
  description = "Scalable target that the policies stand on."
  value       = "service/${var.cluster}/${var.service}"
}

output "expressions" {
  description = "Metric math by policy."
  value = merge(
    { for name, step in local.stepped : name => step.expression },
    { for name, expression in { backlog = local.per_task } : name => expression if local.tracking },
  )
}
