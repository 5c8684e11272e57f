"""Replays: processing uploads again, from the table, a listing, a manifest or the dead-letter queue."""
