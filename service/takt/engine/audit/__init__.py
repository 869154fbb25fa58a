"""Comparing what is counted with what was logged."""
