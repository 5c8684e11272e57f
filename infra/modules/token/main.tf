# The console's token. AWS makes it up; it is written with a write-only argument, so the secret's version keeps nothing
# of it in the state. The data source does, until the next refresh draws another word: whoever may not see a token must
# not see the state, or brings a secret of their own. (An ephemeral resource would keep nothing at all, but Terraform
# 1.11 refuses to test a configuration that has one with a mocked provider.)

data "aws_secretsmanager_random_password" "token" {
  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "token" {
  name                    = var.name
  description             = "Token of the receipts console and API: Authorization: Bearer TOKEN."
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_days
}

resource "aws_secretsmanager_secret_version" "token" {
  secret_id                = aws_secretsmanager_secret.token.id
  secret_string_wo         = data.aws_secretsmanager_random_password.token.random_password
  secret_string_wo_version = var.rotation
}
