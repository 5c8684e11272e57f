"""The domain: receipts, documents and records. Pure code: no clock, no network, no other package of the project."""
