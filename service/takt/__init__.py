"""Takt: a real-time next-best-offer decision service."""

from importlib.metadata import version

__version__ = version("takt-nbo")
