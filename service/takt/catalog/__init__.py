"""Workspace YAML to a checked, compiled snapshot; CEL rules to typed programs."""
