"""The port between the front ends and the engine: serialised requests in, serialised answers out.

A front end knows when a call came and when its answer would be too late; what a message says is known behind the desk
alone. So every front end has the same answers, and how messages are read and written can change without any of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from takt.domain.reasons import Cause
from takt.engine.asking import Asking
from takt.engine.force import Force
from takt.engine.steps import Steps, finished
from takt.errors import TaktError
from takt.wire.decoding.reading import UNREADABLE, Ask, Reading

__all__ = ["UNREADABLE", "Ask", "Decider", "Desk", "EngineDesk", "SharedDesk"]


class Desk(Protocol):
    """Where front ends hand in what they are asked."""

    def deciding(self, asks: Sequence[Ask]) -> Steps[Sequence[bytes | TaktError]]:
        """Answer every ask, in order, by a serialised `takt.v1.DecideResponse`, or the error in its place.

        Steps are taken by one thread at a time; between those of one batch others' may be.
        """
        ...

    def fallbacks(self, messages: Sequence[bytes], cause: Cause, text: str) -> Sequence[bytes | TaktError]:
        """Answer every message, in order, by its placements' fallbacks, flagged with `cause`.

        One that is wrong has its error in the answer's place. Quick, the more so for many at once, and from any thread.
        """
        ...


class SharedDesk:
    """A desk for several threads: it lets them in for a step at a time, in the order in which they came."""

    def __init__(self, desk: Desk) -> None:
        """Share this desk."""
        self._desk = desk
        self._mutex = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Lock] = deque()
        self.fallbacks = desk.fallbacks
        """As the desk's own, which any thread may call."""

    def __len__(self) -> int:
        """Threads that are at the desk, or stand in line for it."""
        with self._mutex:
            return self._taken + len(self._queue)

    def deciding(self, asks: Sequence[Ask]) -> Steps[Sequence[bytes | TaktError]]:
        """Answer every ask, each step once it is this thread's turn."""
        steps = self._desk.deciding(asks)
        while True:
            self._enter()
            try:
                pause = next(steps)
            except StopIteration as end:
                answers: Sequence[bytes | TaktError] = end.value
                return answers
            finally:
                self._leave()
            yield pause

    def _enter(self) -> None:
        with self._mutex:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        turn.acquire()  # released by whoever leaves before

    def _leave(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False


class Decider(Protocol):
    """What decides behind a desk: the engine."""

    @property
    def force(self) -> Force:
        """The catalog and model in force."""
        ...

    def answering(self, asking: Asking) -> Steps[Sequence[bytes | TaktError]]:
        """Answer every request of an asking, in order, with an error in the place of one that is wrong."""
        ...

    def fallbacks(self, asking: Asking, cause: Cause, message: str) -> Sequence[bytes | TaktError]:
        """Neutral content for every placement of every request, in order. Quick, and from any thread."""
        ...


class EngineDesk:
    """The desk before the engine: a batch is read at once, and answered with what the engine has written."""

    def __init__(self, engine: Decider, *, budget_us: int) -> None:
        """`budget_us` is what a request has that names none."""
        self._engine = engine
        self._reading = Reading(budget_us)

    def deciding(self, asks: Sequence[Ask]) -> Steps[Sequence[bytes | TaktError]]:
        """Answer every ask, in order."""
        return (yield from self._engine.answering(self._reading.read(self._engine.force, asks)))

    def decide(self, asks: Sequence[Ask]) -> Sequence[bytes | TaktError]:
        """Answer every ask, in order, and all steps at once."""
        return finished(self.deciding(asks))

    def fallbacks(self, messages: Sequence[bytes], cause: Cause, text: str) -> Sequence[bytes | TaktError]:
        """Answer every message, in order, by its placements' fallbacks."""
        asking = self._reading.read(self._engine.force, [Ask(message, 0) for message in messages], to_keep=False)
        return self._engine.fallbacks(asking, cause, text)
