output "resource_id" {
  description = "Scalable target of the policies."
  value       = "service/${var.cluster}/${var.service}"
}

output "expressions" {
  description = "Metric math expressions by policy."
  value = merge(
    { for name, step in local.stepped : name => step.expression },
    { for name, expression in { backlog = local.per_task } : name => expression if local.tracking },
  )
}
