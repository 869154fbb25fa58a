"""Batches on the way: while the store is at work for one, the next is decided. For one thread.

A few callers gain nothing by it: each of their batches would only be smaller, and what a batch costs whatever is in it
would come more often. So another batch is begun beside one that is on the way only where enough calls wait for it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from takt.engine.steps import Steps

Calls = TypeVar("Calls")
Answers = TypeVar("Answers")

MOST_ON_THE_WAY: Final = 3
"""One that waits for its commit, one that is decided, one that is read for."""
COMPANY: Final = 16
"""Calls that must wait for another batch to be begun beside one."""
LEAST_SHARE: Final = 32
"""Calls that one batch may take whatever waits: what a batch costs in itself is worth it by then."""


class Overlap(Generic[Calls, Answers]):
    """Batches that have been begun, the one that has waited longest for the store first."""

    def __init__(self, max_batch: int) -> None:
        """No batch has more than `max_batch` calls."""
        self._max_batch = max_batch
        self._on_the_way: deque[tuple[Calls, Steps[Answers]]] = deque()

    def __len__(self) -> int:
        """Batches on the way."""
        return len(self._on_the_way)

    def wanted(self, waiting: int, at_work: int) -> int:
        """How many of the calls that wait the next batch should take; 0 if none is to be begun now."""
        if self._on_the_way and (waiting < COMPANY or len(self._on_the_way) == MOST_ON_THE_WAY):
            return 0
        share = -(-(waiting + at_work) // MOST_ON_THE_WAY)
        return min(self._max_batch, max(LEAST_SHARE, share))

    def begin(self, calls: Calls, steps: Steps[Answers]) -> tuple[Calls, Answers] | None:
        """Take a batch's first step; the batch with its answers if that was all."""
        try:
            next(steps)
        except StopIteration as end:
            return calls, end.value
        self._on_the_way.append((calls, steps))
        return None

    def advance(self) -> tuple[Calls, Answers] | None:
        """Take the next step of the batch that has waited longest; the batch with its answers if it was the last."""
        return self.begin(*self._on_the_way.popleft())
