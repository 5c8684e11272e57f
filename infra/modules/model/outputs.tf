locals {
  endpoint = local.made ? one(aws_sagemaker_endpoint.model[*].name) : var.existing_endpoint
}

output "endpoint" {
  description = "Name of the endpoint."
  value       = local.endpoint
}

output "endpoint_arn" {
  description = "ARN of the endpoint. SageMaker writes the name in lowercase there."
  value       = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}:endpoint/${lower(local.endpoint)}"
}

output "variants" {
  description = "Names of the endpoint's variants, if the endpoint is created here."
  value       = keys(local.variants)
}
