"""Code that several test directories share."""
