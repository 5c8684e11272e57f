"""AWS: clients, direct calls, and the definition of the resources that the worker uses."""
