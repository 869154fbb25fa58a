"""The obvious twin of the desk: one message after the other, by way of the domain's values."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Protocol

from google.protobuf.message import DecodeError

from takt.domain.decision import Decision
from takt.domain.reasons import Cause
from takt.domain.request import DecideRequest
from takt.engine.steps import Steps
from takt.errors import InvalidRequestError, TaktError
from takt.rpc.desk import Ask
from takt.v1 import decision_pb2
from takt.wire.answer import response
from takt.wire.decoding.reading import UNREADABLE
from takt.wire.request import Budget, decide_request


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

    def deciding(self, asks: Sequence[Ask]) -> Steps[list[bytes | TaktError]]:
        """Answer every ask, in order, and in one step."""
        yield from ()
        read = [self._read(ask) for ask in asks]
        requests = [request for request in read if isinstance(request, DecideRequest)]
        decided = iter(self._decider.decide(requests) if requests else ())
        return [_answer(next(decided) if isinstance(request, DecideRequest) else request) for request in read]

    def fallbacks(self, messages: Sequence[bytes], cause: Cause, text: str) -> list[bytes | TaktError]:
        """Answer every message by its placements' fallbacks."""
        return [self._fallback(message, cause, text) for message in messages]

    def _fallback(self, message: bytes, cause: Cause, text: str) -> bytes | TaktError:
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
