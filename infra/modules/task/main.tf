# The log group, the two roles and the environment of a container, in both modes.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
data "aws_partition" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.region

  own_prefix = "_receipts/" # the worker's own output, never a receipt

  # Calling an inference component needs permission for the component and its endpoint.
  component     = lookup(var.settings, "RECEIPTS_INFERENCE_COMPONENT", "")
  component_arn = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}:inference-component/${local.component}"
  model_arns    = local.component == "" ? [var.endpoint_arn] : [var.endpoint_arn, local.component_arn]

  # Account, region and repository, if the image is in ECR.
  ecr     = try(regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.amazonaws\\.com(?:\\.cn)?/(?P<repository>[^:@]+)", var.image), null)
  ecr_arn = local.ecr == null ? null : "arn:${local.partition}:ecr:${local.ecr.region}:${local.ecr.account}:repository/${local.ecr.repository}"
}

resource "aws_cloudwatch_log_group" "task" {
  name              = "/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
}

locals {
  # ECS may assume the role. AWS documents condition keys that narrow this for the task role, but not for the execution
  # role (docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html and task_execution_IAM_role.html).
  trust = {
    Effect    = "Allow"
    Principal = { Service = "ecs-tasks.amazonaws.com" }
    Action    = "sts:AssumeRole"
  }
  of_this_account = {
    Condition = {
      StringEquals = { "aws:SourceAccount" = local.account_id }
      ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:*" }
    }
  }

  worker_statements = [
    {
      Sid = "TakeWork"
      Action = [
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes",
      ]
      Resource = var.queue_arn
    },
    {
      Sid      = "SayWhyAMessageIsDead"
      Action   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
      Resource = var.dead_letter_queue_arn
    },
    {
      Sid      = "ReadUploads"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = "${var.bucket_arn}/*"
    },
    {
      Sid      = "TellAMissingUploadFromAForbiddenOne"
      Action   = "s3:ListBucket"
      Resource = var.bucket_arn
    },
    {
      Sid      = "KeepLongAnswers"
      Action   = "s3:PutObject"
      Resource = "${var.bucket_arn}/${local.own_prefix}*"
    },
    {
      Sid      = "WriteResults"
      Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      Resource = var.table_arn
    },
    {
      Sid      = "LookForDuplicates"
      Action   = "dynamodb:Query"
      Resource = "${var.table_arn}/index/*"
    },
    {
      Sid      = "AskTheModel"
      Action   = "sagemaker:InvokeEndpoint"
      Resource = local.model_arns
    },
    {
      Sid      = "StayWhileWorking"
      Action   = "ecs:UpdateTaskProtection"
      Resource = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:task/${var.cluster}/*"
    },
  ]

  console_statements = [
    {
      Sid      = "TakeUploads"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = "${var.bucket_arn}/*"
    },
    {
      Sid      = "ShowUploads"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = "${var.bucket_arn}/*"
    },
    {
      Sid      = "TellAMissingUploadFromAForbidden"
      Action   = "s3:ListBucket"
      Resource = var.bucket_arn
    },
    {
      Sid      = "ShowAndCorrectResults"
      Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      Resource = var.table_arn
    },
    {
      Sid      = "ListResults"
      Action   = "dynamodb:Query"
      Resource = "${var.table_arn}/index/*"
    },
    {
      Sid      = "CountAndReplay"
      Action   = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
      Resource = var.queue_arn
    },
    {
      Sid      = "CountDeadLetters"
      Action   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = var.dead_letter_queue_arn
    },
    {
      Sid      = "CountTasks"
      Action   = "ecs:DescribeServices"
      Resource = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:service/${var.cluster}/*"
    },
  ]

  key_statements = [
    {
      Sid      = "UseTheKeys"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = sort(var.kms_key_arns)
    },
  ]

  task_statements = concat(
    [for statement in local.worker_statements : statement if var.worker],
    [for statement in local.console_statements : statement if var.console],
    [for statement in local.key_statements : statement if length(var.kms_key_arns) > 0],
  )

  log_statements = [
    {
      Sid      = "WriteLogs"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.task.arn}:*"
    },
  ]

  pull_statements = [
    {
      Sid      = "SignInToEcr" # the action has no resource-level permissions
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = "*"
    },
    {
      Sid      = "PullTheImage"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = local.ecr_arn
    },
  ]

  token_statements = [
    {
      Sid      = "ReadTheToken"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = var.token_secret_arn
    },
  ]

  token_key_statements = [
    {
      Sid      = "UseTheKeyOfTheToken"
      Action   = ["kms:Decrypt"]
      Resource = sort(var.token_kms_key_arns)
    },
  ]

  execution_statements = concat(
    [for statement in local.log_statements : statement if !var.managed_execution_policy],
    [for statement in local.pull_statements : statement if !var.managed_execution_policy && local.ecr_arn != null],
    [for statement in local.token_statements : statement if var.console],
    [for statement in local.token_key_statements : statement if var.console && length(var.token_kms_key_arns) > 0],
  )
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  description        = "Permissions of the process itself."
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [merge(local.trust, local.of_this_account)] })
}

resource "aws_iam_role_policy" "task" {
  name = "task"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.task_statements : merge({ Effect = "Allow" }, statement)]
  })
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Permissions of ECS for starting the task: pull the image, write logs, read the token."
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [local.trust] })
}

resource "aws_iam_role_policy" "execution" {
  count = length(local.execution_statements) > 0 ? 1 : 0
  name  = "execution"
  role  = aws_iam_role.execution.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in local.execution_statements : merge({ Effect = "Allow" }, statement)]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  count      = var.managed_execution_policy ? 1 : 0
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

locals {
  environment = merge(
    {
      RECEIPTS_QUEUE_URL      = var.queue_url
      RECEIPTS_TABLE          = var.table
      RECEIPTS_BUCKET         = var.bucket
      RECEIPTS_ENDPOINT       = var.endpoint
      RECEIPTS_PROTOCOL       = var.protocol
      RECEIPTS_MAX_IN_FLIGHT  = tostring(var.slots)
      RECEIPTS_VISIBILITY_S   = tostring(var.visibility_timeout_s)
      RECEIPTS_RECEIVE_WAIT_S = tostring(var.receive_wait_s)
      RECEIPTS_STOP_TIMEOUT_S = tostring(var.stop_timeout_s)
      # In the last ten seconds, the worker hands back what the drain has not finished.
      RECEIPTS_DRAIN_S   = tostring(var.stop_timeout_s - 10)
      RECEIPTS_HTTP_HOST = "0.0.0.0"
      RECEIPTS_HTTP_PORT = "8000"
      RECEIPTS_SERVICE   = var.service
    },
    var.console ? { RECEIPTS_CONSOLE = "true" } : {},
    var.settings,
  )
}
