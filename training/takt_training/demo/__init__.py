"""`takt demo`: real households, a real service, real decisions, in about a minute."""

from takt_training.demo.command import demo

__all__ = ["demo"]
