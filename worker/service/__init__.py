"""What the worker serves over HTTP, and what it tells the platform that it runs on."""
