"""Time as an argument. Policy time is the store's; this clock serves deadlines, logs and tests."""

from __future__ import annotations

import time
from typing import Protocol

from msgspec import Struct

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US


class Clock(Protocol):
    """A source of time."""

    def now_us(self) -> int:
        """Wall time in microseconds since the epoch."""
        ...

    def monotonic_us(self) -> int:
        """Microseconds that never go backwards; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Wall time in microseconds since the epoch."""
        return time.time_ns() // 1_000

    def monotonic_us(self) -> int:
        """Microseconds since some fixed moment."""
        return time.monotonic_ns() // 1_000


class ManualClock(Struct):
    """A clock that moves only when told to."""

    at_us: int

    def now_us(self) -> int:
        """The time it was set to."""
        return self.at_us

    def monotonic_us(self) -> int:
        """The same time: differences are what the test made them."""
        return self.at_us

    def advance(self, by_us: int) -> None:
        """Move forward by `by_us` microseconds."""
        self.at_us += by_us
