"""What a worker tells its parent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """It serves."""

    metrics_port: int
    """Where its metrics are read, on this machine; 0 = nowhere."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not begin."""

    message: str
    store: bool
    """Whether that was the store's fault."""
