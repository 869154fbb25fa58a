"""Exploration: exact selection probabilities and replayable draws. Pure."""
