"""What the contract suite needs of a store beyond its contract: to look inside, and to break it."""

from __future__ import annotations

from typing import Protocol

from takt.clock import ManualClock
from takt.memory.store import MemoryStore
from takt.ports import Store

NOW_US = 1_760_000_000_000_000
RETENTION_US = 15 * 60 * 1_000_000


class Harness(Protocol):
    """A fresh store, with the handles that a test may pull."""

    clock: ManualClock
    store: Store

    def log(self) -> list[tuple[str, bytes]]:
        """Give all that was logged: `decision` or `feedback`, and the record; in order within a person."""
        ...

    def overwrite_ledger(self, profile_id: str, data: bytes) -> None:
        """Put any bytes where a ledger should be."""
        ...

    def lose_marker(self, profile_id: str) -> None:
        """Take away the marker that guards a person."""
        ...


class MemoryHarness:
    """A store in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_US)
        self._memory = MemoryStore(self.clock, retention_us=RETENTION_US)
        self.store: Store = self._memory

    def log(self) -> list[tuple[str, bytes]]:
        """See `Harness`."""
        return list(self._memory.log)

    def overwrite_ledger(self, profile_id: str, data: bytes) -> None:
        """See `Harness`."""
        self._memory.ledgers[profile_id] = data

    def lose_marker(self, profile_id: str) -> None:  # noqa: ARG002 -- it guards everybody
        """See `Harness`."""
        self._memory.marked = False
