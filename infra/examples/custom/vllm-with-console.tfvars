# A vLLM container on GPU instances with a second model as canary, a console with sign-in behind a load balancer, and one
# KMS key for everything.
name   = "receipts-prod"
region = "eu-central-1"
image  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"

protocol = "chat"
model = {
  image               = "763104351884.dkr.ecr.eu-central-1.amazonaws.com/vllm:0.19.1-gpu-py312"
  environment         = { SM_VLLM_MODEL = "/opt/ml/model", SM_VLLM_MAX_MODEL_LEN = "16384" }
  data_url            = "s3://our-models/gemma-4-E4B-it/"
  instance_type       = "ml.g6.2xlarge"
  min_instances       = 1
  max_instances       = 4
  concurrent_requests = 24
  startup_timeout_s   = 1800
}
canary = {
  image         = "763104351884.dkr.ecr.eu-central-1.amazonaws.com/vllm:0.19.1-gpu-py312"
  environment   = { SM_VLLM_MODEL = "/opt/ml/model", SM_VLLM_MAX_MODEL_LEN = "16384" }
  data_url      = "s3://our-models/gemma-4-E4B-it-receipts/"
  instance_type = "ml.g6.2xlarge"
  weight        = 0.1
}

console = {
  certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
  allowed_cidrs   = ["203.0.113.0/24"]
  tasks           = 2
}
oidc = {
  issuer                 = "https://login.example.com"
  authorization_endpoint = "https://login.example.com/authorize"
  token_endpoint         = "https://login.example.com/token"
  user_info_endpoint     = "https://login.example.com/userinfo"
  client_id              = "receipts"
  client_secret          = "from TF_VAR_oidc in earnest"
}

kms_key_arn  = "arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012"
alarm_emails = ["ops@example.com"]

# receipts scale plan --receipt-s 3 --min-tasks 1 --max-tasks 12 --tfvars
scaling = {
  min_tasks              = 1
  max_tasks              = 12
  backlog_per_task       = 512
  in_flight_weight       = 20
  oldest_message_alarm_s = 300
}
