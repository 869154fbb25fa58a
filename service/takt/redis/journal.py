"""What a store acknowledged lately, so that it can be put back where a fail-over forgot it.

A primary that dies may have acknowledged what its replica had not got yet; with `everysec`, a server what was not on
disk. Whoever was told still knows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from takt.clock import Clock
from takt.ports import Spend
from takt.redis.calls import Unit

MOST: Final = 4096
"""Commits, and as many events: some megabytes, and at full speed some seconds."""


class Noted(NamedTuple):
    """One commit or event that was written."""

    at_us: int
    unit: Unit
    spends: tuple[Spend, ...] = ()
    """Of a commit."""


class Journal:
    """The commits and events that were written last. Safe to use from many threads.

    None is older than `within_us`: an id that the store has forgotten in good order must not look forgotten by mistake.
    """

    def __init__(self, clock: Clock, *, within_us: int, most: int = MOST) -> None:
        self._clock = clock
        self._within_us = within_us
        self._commits: deque[Noted] = deque(maxlen=most)
        self._marks: deque[Noted] = deque(maxlen=most)
        self._lock = threading.Lock()

    def committed(self, written: Iterable[tuple[Unit, tuple[Spend, ...]]]) -> None:
        """Note commits that were written, with what they took from totals."""
        now_us = self._clock.monotonic_us()
        with self._lock:
            self._commits.extend(Noted(now_us, unit, spends) for unit, spends in written)

    def marked(self, units: Iterable[Unit]) -> None:
        """Note events that were applied."""
        now_us = self._clock.monotonic_us()
        with self._lock:
            self._marks.extend(Noted(now_us, unit) for unit in units)

    def recent(self) -> tuple[list[Noted], list[Noted]]:
        """Commits and events, each in the order in which they were written."""
        since_us = self._clock.monotonic_us() - self._within_us
        with self._lock:
            commits = [noted for noted in self._commits if noted.at_us >= since_us]
            return commits, [noted for noted in self._marks if noted.at_us >= since_us]
