"""The table side: claims, writes, and everything that is asked of the results."""
