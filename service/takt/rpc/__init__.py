"""The gRPC edge: listeners, servicers, gathering of concurrent calls, mapping of errors. No business logic."""
