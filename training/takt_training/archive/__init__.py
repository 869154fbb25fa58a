"""The decision log as files: drained from the store to Parquet, each entry exactly once."""
