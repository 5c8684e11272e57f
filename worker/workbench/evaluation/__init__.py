"""Evaluation: how well a model reads receipts whose truth is known, so that a team can decide with its own."""
