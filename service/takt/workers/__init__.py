"""Several processes on one port: each with its own model, watched over by a parent that owns the embedded store."""
