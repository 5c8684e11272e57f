"""The domain: what a receipt, a document and a record are. Pure: no clock, no network, no other room."""
