"""The command line: one file a verb, loaded when it is used, so that `receipts worker` starts without the others."""
