"""The results table: claims, writes, queries, reviews, export and deletion."""
