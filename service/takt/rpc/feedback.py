"""`takt.v1.FeedbackService`: batches of events, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from msgspec.structs import replace

from takt.domain.feedback import EventOutcome, FeedbackEvent
from takt.errors import InvalidRequestError, Violation
from takt.rpc.calls import Calls, Context, answering
from takt.rpc.gather import Gather
from takt.v1 import feedback_pb2
from takt.wire.feedback import event_result, feedback_event

RECORD: Final = "FeedbackService.Record"
MOST_EVENTS: Final = 1000
UNREADABLE: Final = Violation("request", "is no takt.v1.RecordRequest: its bytes cannot be read as one")

Events = Sequence[FeedbackEvent]
Outcomes = Sequence[EventOutcome]


def together(record: Callable[[Events], Outcomes]) -> Callable[[Sequence[Events]], list[Outcomes]]:
    """Work for a `Gather`: the events of several calls are recorded at once."""

    def recorded(calls: Sequence[Events]) -> list[Outcomes]:
        outcomes = iter(record([event for events in calls for event in events]))
        return [list(islice(outcomes, len(events))) for events in calls]

    return recorded


class FeedbackService:
    """Takes note of what customers did."""

    def __init__(self, gather: Gather[Events, Outcomes], *, calls: Calls) -> None:
        """`gather` works with `together`."""
        self.calls = calls
        self._gather = gather

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a grpcio server is given: messages pass as the bytes that they are."""
        record: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(self.Record)
        name = feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name
        return grpc.method_handlers_generic_handler(name, {"Record": record})

    @answering
    async def Record(self, message: bytes, _: Context) -> bytes:  # noqa: N802 - the contract's name
        """One result per event, in order. An event that is wrong does not stop the others."""
        return await self.record(message)

    async def record(self, message: bytes) -> bytes:
        """The serialised answer to a serialised request. Raises `TaktError` where there is none."""
        try:
            request = feedback_pb2.RecordRequest.FromString(message)
        except DecodeError:
            raise InvalidRequestError((UNREADABLE,)) from None
        if not 1 <= len(request.events) <= MOST_EVENTS:
            given = f"{len(request.events)} given, from 1 to {MOST_EVENTS} can be recorded at once"
            raise InvalidRequestError((Violation("events", given),))
        read = [feedback_event(event, f"events[{n}]") for n, event in enumerate(request.events)]
        events = [event for event in read if isinstance(event, FeedbackEvent)]
        recorded = iter(await self._gather.ask(events) if events else ())
        outcomes = [
            outcome if isinstance(outcome, EventOutcome) else _placed(next(recorded), f"events[{n}]")
            for n, outcome in enumerate(read)
        ]
        for outcome in outcomes:
            self.calls.meter.feedback(outcome.outcome.name)
        answer: bytes = feedback_pb2.RecordResponse(results=[event_result(o) for o in outcomes]).SerializeToString()
        return answer


def _placed(outcome: EventOutcome, path: str) -> EventOutcome:
    """An outcome whose violations say where in the request the event stands."""
    if not outcome.violations:
        return outcome
    violations = tuple(Violation(f"{path}.{v.field}", v.message) for v in outcome.violations)
    return replace(outcome, violations=violations)
