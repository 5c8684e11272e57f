"""Evaluation: how well a reader or an endpoint reads receipts whose truth is known."""
