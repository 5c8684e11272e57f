# Well-formed values for `mock_provider "aws"`, because the real provider refuses a random word in place of an ARN.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}
mock_data "aws_region" {
  defaults = { region = "eu-central-1" }
}
mock_data "aws_partition" {
  defaults = { partition = "aws" }
}
mock_data "aws_availability_zones" {
  defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
}

mock_resource "aws_appautoscaling_policy" {
  defaults = { arn = "arn:aws:autoscaling:eu-central-1:123456789012:scalingPolicy:6d8972f3:resource/ecs/service/receipts/worker:policyName/shortfall" }
}
mock_resource "aws_cloudwatch_event_rule" {
  defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/receipts-uploads" }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/receipts" }
}
mock_resource "aws_cloudwatch_metric_alarm" {
  defaults = { arn = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:receipts" }
}
mock_resource "aws_dynamodb_table" {
  defaults = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/receipts" }
}
mock_resource "aws_ecs_task_definition" {
  defaults = { arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/receipts:1" }
}
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/receipts" }
}
mock_resource "aws_lb" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/receipts/50dc6c495c0c9188" }
}
mock_resource "aws_lb_target_group" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/receipts/73e2d6bc24d8a067" }
}
mock_resource "aws_lb_listener" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/receipts/50dc6c495c0c9188/f2f7dc8efc522ab2" }
}
mock_resource "aws_s3_bucket" {
  defaults = { id = "receipts-123456789012-eu-central-1", arn = "arn:aws:s3:::receipts-123456789012-eu-central-1" }
}
mock_resource "aws_sagemaker_endpoint" {
  defaults = { arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/receipts" }
}
mock_resource "aws_secretsmanager_secret" {
  defaults = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:receipts-console-token-AbCdEf" }
}
mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:receipts" }
}
mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-central-1:123456789012:receipts"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
  }
}
mock_resource "aws_vpc_endpoint" {
  defaults = { prefix_list_id = "pl-12345678" }
}
