"""The model side: pictures made fit for the endpoint, what the endpoint speaks, and the calls to it."""
