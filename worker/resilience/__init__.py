"""Calls to dependencies: fault classification, retries, breakers, the adaptive limit and waiting primitives."""
