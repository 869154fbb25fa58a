"""The store in memory: the reference that every other store is held to, for tests and examples."""
