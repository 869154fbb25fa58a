"""What people see of a running process: metrics for Prometheus, and structured logs without personal data."""
