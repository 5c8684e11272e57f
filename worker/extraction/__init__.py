"""Extraction: prepares pictures for the endpoint, implements its protocols, and calls it."""
