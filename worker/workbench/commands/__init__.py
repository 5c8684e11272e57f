"""Verbs that only a development installation has: `local`, `scale` and `evaluate`."""
