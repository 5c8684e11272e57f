"""AWS: the clients, the direct calls, and the definition of the resources that the worker uses."""
