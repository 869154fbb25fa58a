"""Batches on the way: while the store is at work for one, the next is decided. For one thread.

A few callers gain nothing by it: each of their batches would only be smaller, and what a batch costs whatever is in it
would come more often. So another batch is begun beside one that is on the way only where enough calls wait for it.

The store does one thing after the other: what is read for a batch that is begun behind a commit comes when that is
done. So that there is always one to decide meanwhile, batches must not all be at the same point.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from takt.engine.steps import Pause

if TYPE_CHECKING:
    from takt.engine.steps import Steps

Calls = TypeVar("Calls")
Answers = TypeVar("Answers")

MOST_ON_THE_WAY: Final = 3
"""One that waits for its commit, one that is decided, one that is read for."""
MOST_READING: Final = 2
"""Batches on the way that have not been decided: with more of them, all would come to commit together."""
COMPANY: Final = 8
"""Calls that must wait for another batch to be begun beside one; where there are many, half of `LEAST_SHARE`."""
LEAST_SHARE: Final = 32
"""Calls from which on what a batch costs in itself is worth it; one alone takes so many whatever else comes."""


class Overlap(Generic[Calls, Answers]):
    """Batches that have been begun, the one that has waited longest for the store first."""

    def __init__(self, max_batch: int) -> None:
        """No batch has more than `max_batch` calls."""
        self._max_batch = max_batch
        self._on_the_way: deque[tuple[Calls, Steps[Answers], Pause]] = deque()
        self._reading = 0

    def __len__(self) -> int:
        """Batches on the way."""
        return len(self._on_the_way)

    def wanted(self, waiting: int, at_work: int) -> int:
        """How many of the calls that wait the next batch should take; 0 if none is to be begun now."""
        there = waiting + at_work
        third = -(-there // MOST_ON_THE_WAY)
        if not self._on_the_way:
            return min(self._max_batch, max(LEAST_SHARE, third))
        share = max(COMPANY, min(LEAST_SHARE, -(-3 * there // 5)), third)
        full = len(self._on_the_way) == MOST_ON_THE_WAY or self._reading == MOST_READING
        if full or waiting < max(COMPANY, min(share, LEAST_SHARE) // 2):
            return 0
        return min(self._max_batch, share)

    def begin(self, calls: Calls, steps: Steps[Answers]) -> tuple[Calls, Answers] | None:
        """Take a batch's first step; the batch with its answers if that was all."""
        try:
            pause = next(steps)
        except StopIteration as end:
            return calls, end.value
        self._on_the_way.append((calls, steps, pause))
        self._reading += pause is Pause.READ
        return None

    def advance(self) -> tuple[Calls, Answers] | None:
        """Take the next step of the batch that has waited longest; the batch with its answers if it was the last."""
        calls, steps, pause = self._on_the_way.popleft()
        self._reading -= pause is Pause.READ
        return self.begin(calls, steps)
