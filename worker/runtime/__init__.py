"""The worker itself: one process that takes messages, works on their uploads and stores records."""
