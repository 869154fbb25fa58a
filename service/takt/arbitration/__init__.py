"""Arbitration: what a candidate is worth against silence, which is worth zero. Pure."""
