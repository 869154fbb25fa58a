"""The calls of a front end that wait for their batch or are in it: bounded, in order, and none without a caller."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from takt.wire.request import asked_budget_us

if TYPE_CHECKING:
    from takt.rpc.desk import Ask

READ_BUDGET_US: Final = 20_000
"""A call that waits for longer is asked for its own budget: reading it costs as much as a part of deciding."""
PATIENCE: Final = 0.5
"""Share of its budget that a call may be expected to wait when it comes; the rest is for deciding, and surprises."""
TELLING: Final = 16
"""Calls of a batch from which on it tells how fast decisions are made."""
QUICKLY: Final = 0.3
"""How much of what is known of the pace the next batch replaces."""


class Waiting(Struct):
    """One call that has no answer yet."""

    call_id: int
    ask: Ask
    taken_us: int = 0
    """When the batch was taken that it is part of."""
    until_us: int = 0
    """When its budget is spent; 0 while nobody looked."""


class WaitingRoom:
    """Calls without an answer, by id. Not safe for threads: whoever has one locks it."""

    def __init__(self, *, most: int, budget_us: int) -> None:
        """At most `most` calls wait; `budget_us` is what a request has that names none."""
        self._most = most
        self._budget_us = budget_us
        self._patience_us = PATIENCE * budget_us
        self._pace_us = 0.0
        """Microseconds per call at which calls were decided lately; 0 until there were enough to tell."""
        self._done_us = 0
        """When the last batch was decided."""
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._at_work: dict[int, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._at_work)

    @property
    def waiting(self) -> int:
        """Calls that are not at work yet."""
        return len(self._waiting)

    def enter(self, call_id: int, ask: Ask) -> bool:
        """Let a call wait; False if so many do already that its time would be spent, or more than may."""
        expected_us = len(self) * self._pace_us
        if len(self._waiting) >= self._most or (
            expected_us > self._patience_us and expected_us > PATIENCE * self._budget_of(ask)
        ):
            return False
        self._waiting[call_id] = Waiting(call_id, ask)
        return True

    def leave(self, call_id: int) -> Waiting | None:
        """The caller has gone: forget its call, and give what is forgotten."""
        return self._waiting.pop(call_id, None) or self._at_work.pop(call_id, None)

    def take(self, most: int, now_us: int) -> tuple[list[Waiting], list[Waiting]]:
        """The next batch, of at most so many calls, in the order in which they came; and those whose time is too short.

        The batch is at work from now on; the others have left.
        """
        batch: list[Waiting] = []
        late: list[Waiting] = []
        while self._waiting and len(batch) < most:
            call_id, call = self._waiting.popitem(last=False)
            # batches that are on the way already are decided before, or at the same time
            if self._is_late(call, now_us + round(self._pace_us * (len(self._at_work) + 1))):
                late.append(call)
            else:
                call.taken_us = now_us
                self._at_work[call_id] = call
                batch.append(call)
        return batch, late

    def done(self, batch: list[Waiting], now_us: int) -> list[bool]:
        """A batch is decided: which of its calls still want their answers. All have left."""
        taken_us = batch[0].taken_us
        if len(batch) >= TELLING:
            # batches overlap: each is told by what it added
            sample_us = (now_us - max(taken_us, self._done_us)) / len(batch)
            self._pace_us += (sample_us - self._pace_us) * (QUICKLY if self._pace_us else 1)
        self._pace_us = min(self._pace_us, (now_us - taken_us) / len(batch))  # so a stall is forgotten at once
        self._done_us = now_us
        return [self._at_work.pop(call.call_id, None) is not None for call in batch]

    def expire(self, now_us: int) -> list[Waiting]:
        """Calls whose time is spent, be it their budget or what their caller gave them. They have left."""
        late = [
            call for calls in (self._at_work, self._waiting) for call in calls.values() if self._is_late(call, now_us)
        ]
        for call in late:
            self.leave(call.call_id)
        return late

    def _is_late(self, call: Waiting, now_us: int) -> bool:
        ask = call.ask
        if 0 < ask.latest_us <= now_us:
            return True
        if now_us - ask.received_us < READ_BUDGET_US:
            return False
        if not call.until_us:
            call.until_us = ask.received_us + self._budget_of(ask)
        return call.until_us <= now_us

    def _budget_of(self, ask: Ask) -> int:
        """What the request says, or the service's own."""
        return asked_budget_us(ask.message) or self._budget_us
