# An existing vLLM endpoint that answers OpenAI chat completions. An existing bucket with events through EventBridge, and
# only pictures and PDFs under one prefix.
region   = "us-east-1"
image    = "123456789012.dkr.ecr.us-east-1.amazonaws.com/receipts-worker:1.0.0"
endpoint = "gemma-receipts"
protocol = "chat"
bucket   = "our-scans"
delivery = "eventbridge"
filters = [
  { prefix = "receipts/", suffix = ".jpg" },
  { prefix = "receipts/", suffix = ".pdf" },
]
settings = {
  RECEIPTS_CHAT_SCHEMA = "flat"
  RECEIPTS_CHAT_EXTRA  = "{\"temperature\": 0}"
}
alarm_emails = ["ops@example.com"]
