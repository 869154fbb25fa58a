"""What is kept of each decision and event: the encoding of the log."""
