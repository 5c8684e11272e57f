"""The queue side: what arrives, how much of it, how long it is ours, and what becomes of it."""
