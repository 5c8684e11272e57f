"""What stands between the worker and its dependencies: faults, breakers, retries and the limit of invocations."""
