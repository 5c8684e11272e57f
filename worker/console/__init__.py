"""The console: HTTP API, OpenAPI document and the pages that use them."""
