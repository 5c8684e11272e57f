"""The receipt worker: receipts dropped into S3 become rows in DynamoDB."""
