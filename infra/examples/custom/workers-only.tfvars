# Workers in a VPC without internet access, scaled from zero tasks, three quarters on Spot. No console.
region       = "eu-central-1"
image        = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-worker:1.0.0"
model        = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/receipts-reader:1.0.0" }
architecture = "ARM64"
alarm_emails = ["ops@example.com"]
