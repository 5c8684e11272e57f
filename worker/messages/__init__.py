"""The queue: parsing, permits, leases and settlement of messages."""
