"""What a worker tells its parent."""

from __future__ import annotations

from msgspec import Struct


class Ready(Struct, frozen=True):
    """It serves."""

    metrics_port: int
    """Where its metrics are read, on this machine; 0 = nowhere."""


class Failed(Struct, frozen=True):
    """It could not begin."""

    message: str
    store: bool
    """Whether that was the store's fault."""
