# A vLLM endpoint that is there already, which answers OpenAI chat completions; a bucket that is there already, told
# apart by EventBridge; only pictures and PDFs under one prefix.
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
