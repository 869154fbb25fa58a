"""The calls of a front end that wait for their batch or are in it: bounded, in order, and none without a caller."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from takt.wire.request import asked_budget_us

if TYPE_CHECKING:
    from takt.rpc.desk import Ask

READ_BUDGET_US: Final = 20_000
"""A call that waits for longer is asked for its own budget: reading it costs as much as a part of deciding."""


@dataclass(slots=True)
class Waiting:
    """One call that has no answer yet."""

    call_id: int
    ask: Ask
    at_work: bool = False
    """Whether it is part of a batch that is being decided."""
    until_us: int = 0
    """When its budget is spent; 0 while nobody looked."""


class WaitingRoom:
    """Calls without an answer, by id. Not safe for threads: whoever has one locks it."""

    def __init__(self, *, most: int, budget_us: int) -> None:
        """At most `most` calls wait; `budget_us` is what a request has that names none."""
        self._most = most
        self._budget_us = budget_us
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._at_work: dict[int, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._at_work)

    @property
    def waiting(self) -> int:
        """Calls that are not at work yet."""
        return len(self._waiting)

    def enter(self, call_id: int, ask: Ask) -> bool:
        """Let a call wait; False if too many do already."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting[call_id] = Waiting(call_id, ask)
        return True

    def leave(self, call_id: int) -> Waiting | None:
        """The caller has gone: forget its call, and give what is forgotten."""
        return self._waiting.pop(call_id, None) or self._at_work.pop(call_id, None)

    def take(self, most: int) -> list[Waiting]:
        """The next batch, of at most so many calls, in the order in which they came. They are at work from now on."""
        batch: list[Waiting] = []
        while self._waiting and len(batch) < most:
            call_id, call = self._waiting.popitem(last=False)
            call.at_work = True
            self._at_work[call_id] = call
            batch.append(call)
        return batch

    def done(self, batch: list[Waiting]) -> list[bool]:
        """A batch is decided: which of its calls still want their answers. All have left."""
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
            call.until_us = ask.received_us + (asked_budget_us(ask.message) or self._budget_us)
        return call.until_us <= now_us
