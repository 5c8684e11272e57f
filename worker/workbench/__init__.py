"""Tools for a developer's machine: the local stack, the scaling simulator and evaluation. No image contains them."""
