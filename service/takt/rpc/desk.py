"""The port between the front ends and the engine: serialised requests in, serialised answers out.

A front end knows when a call came and when its answer would be too late; what a message says is known behind the desk
alone. So every front end has the same answers, and how messages are read and written can change without any of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from takt.domain.decision import Decision
from takt.domain.reasons import Cause
from takt.domain.request import DecideRequest
from takt.errors import InvalidRequestError, TaktError, Violation
from takt.v1 import decision_pb2
from takt.wire.answer import response
from takt.wire.request import Budget, decide_request

UNREADABLE: Final = Violation("request", "is no takt.v1.DecideRequest: its bytes cannot be read as one")


@dataclass(frozen=True, slots=True)
class Ask:
    """One call as a front end knows it."""

    message: bytes
    """A serialised `takt.v1.DecideRequest`, or whatever the caller sent in its place."""
    received_us: int
    """When it came, on the clock's monotonic scale."""
    latest_us: int = 0
    """Past this moment nobody reads the answer; 0 = no such moment."""


class Desk(Protocol):
    """Where front ends hand in what they are asked."""

    def decide(self, asks: Sequence[Ask]) -> Sequence[bytes | TaktError]:
        """Answer every ask, in order, by a serialised `takt.v1.DecideResponse`, or the error in its place.

        Called by one thread at a time, a batch at a time.
        """
        ...

    def fallback(self, message: bytes, cause: Cause, text: str) -> bytes | TaktError:
        """Answer one message by its placements' fallbacks, flagged with `cause`. Quick, and from any thread."""
        ...


class SharedDesk:
    """A desk for several threads: it lets them in one at a time, in the order in which they came."""

    def __init__(self, desk: Desk) -> None:
        """Share this desk."""
        self._desk = desk
        self._mutex = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Lock] = deque()
        self.fallback = desk.fallback
        """As the desk's own, which any thread may call."""

    def __len__(self) -> int:
        """Threads that are at the desk, or stand in line for it."""
        with self._mutex:
            return self._taken + len(self._queue)

    def decide(self, asks: Sequence[Ask]) -> Sequence[bytes | TaktError]:
        """Answer every ask, once it is this thread's turn."""
        self._enter()
        try:
            return self._desk.decide(asks)
        finally:
            self._leave()

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
    """What decides behind a desk."""

    def decide(self, requests: Sequence[DecideRequest]) -> Sequence[Decision | TaktError]:
        """Answer every request, in order, with an error in the place of one that is wrong."""
        ...

    def fallback(self, request: DecideRequest, cause: Cause, message: str) -> Decision:
        """Neutral content for every placement. Quick, and from any thread."""
        ...


class MessageDesk:
    """The desk that reads and writes one message after the other, by way of the domain's values."""

    def __init__(
        self,
        decider: Decider,
        *,
        budget_us: int,
        times: Callable[[], Container[str]],
        refused: Callable[[str], None],
    ) -> None:
        """`budget_us` is what a request has that names none.

        `times` gives the context features that are declared as timestamps. `refused` is told the class of the error of
        each request that is wrong before the engine saw it.
        """
        self._decider = decider
        self._budget_us = budget_us
        self._times = times
        self._refused = refused

    def decide(self, asks: Sequence[Ask]) -> list[bytes | TaktError]:
        """Answer every ask, in order."""
        read = [self._read(ask) for ask in asks]
        requests = [request for request in read if isinstance(request, DecideRequest)]
        decided = iter(self._decider.decide(requests) if requests else ())
        return [_answer(next(decided) if isinstance(request, DecideRequest) else request) for request in read]

    def fallback(self, message: bytes, cause: Cause, text: str) -> bytes | TaktError:
        """Answer one message by its placements' fallbacks."""
        request = self._read(Ask(message, 0))
        return _answer(self._decider.fallback(request, cause, text) if isinstance(request, DecideRequest) else request)

    def _read(self, ask: Ask) -> DecideRequest | TaktError:
        """What is asked, or what is wrong with it."""
        try:
            return decide_request(
                decision_pb2.DecideRequest.FromString(ask.message),
                Budget(ask.received_us, self._budget_us, ask.latest_us),
                self._times(),
            )
        except DecodeError:
            error = InvalidRequestError((UNREADABLE,))
        except InvalidRequestError as found:
            error = found
        self._refused(type(error).__name__)
        return error


def _answer(decided: Decision | TaktError) -> bytes | TaktError:
    """A decision as its serialised message; an error as it is."""
    if isinstance(decided, TaktError):
        return decided
    answer: bytes = response(decided).SerializeToString()
    return answer
