"""The console: the HTTP API, its OpenAPI document, and the pages that use the API."""
