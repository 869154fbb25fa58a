"""Round trips, counted by what they were for: a bar that tests assert and metrics show."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct


class TripCount(Struct, frozen=True):
    """What one kind of call cost so far."""

    trips: int = 0
    failures: int = 0
    """Those of the trips that brought no answer."""
    us: int = 0
    """Microseconds spent waiting, failures included."""


class RoundTrips:
    """Counts by name (`fetch`, `commit`, `mark`, `put`, `resolve`, ...); thread-safe.

    `observe(name, seconds, ok)` is told of each as it ends. It must be quick and must not raise.
    """

    def __init__(self, observe: Callable[[str, float, bool], None] | None = None) -> None:
        self._observe = observe
        self._counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        """What a `TripCount` says, in its order."""
        self._lock = threading.Lock()

    def add(self, name: str, us: int, *, ok: bool) -> None:
        """Count one trip that took `us` microseconds."""
        with self._lock:
            count = self._counts[name]
            count[0] += 1
            count[1] += not ok
            count[2] += us
        if self._observe is not None:
            self._observe(name, us / 1e6, ok)

    def counts(self) -> dict[str, TripCount]:
        """All counts so far."""
        with self._lock:
            return {name: TripCount(*count) for name, count in self._counts.items()}

    def trips(self, name: str | None = None) -> int:
        """Trips of one name, or of all."""
        with self._lock:
            return sum(count[0] for key, count in self._counts.items() if name in (None, key))
