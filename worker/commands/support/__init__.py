"""Parts that several verbs share: options, tables, checks and error messages."""
