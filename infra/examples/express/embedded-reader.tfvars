# The minimum: the embedded reader on one small CPU instance.
region = "eu-central-1"
image  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"
model  = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0" }
