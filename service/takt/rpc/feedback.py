"""`takt.v1.FeedbackService`: batches of events, each with its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from takt.domain.feedback import EventOutcome, FeedbackEvent
from takt.errors import InvalidRequestError, Violation
from takt.rpc.calls import Calls, Context, answering
from takt.rpc.gather import Gather
from takt.v1 import feedback_pb2, feedback_pb2_grpc
from takt.wire.feedback import event_result, feedback_event

MOST_EVENTS: Final = 1000

Events = Sequence[FeedbackEvent]
Outcomes = Sequence[EventOutcome]


def together(record: Callable[[Events], Outcomes]) -> Callable[[Sequence[Events]], list[Outcomes]]:
    """Work for a `Gather`: the events of several calls are recorded at once."""

    def recorded(calls: Sequence[Events]) -> list[Outcomes]:
        outcomes = iter(record([event for events in calls for event in events]))
        return [list(islice(outcomes, len(events))) for events in calls]

    return recorded


class FeedbackService(feedback_pb2_grpc.FeedbackServiceServicer):
    """Takes note of what customers did."""

    def __init__(self, gather: Gather[Events, Outcomes], *, calls: Calls) -> None:
        """`gather` works with `together`."""
        self.calls = calls
        self._gather = gather

    @answering
    async def Record(  # noqa: N802 - the contract's name
        self, request: feedback_pb2.RecordRequest, _: Context
    ) -> feedback_pb2.RecordResponse:
        """One result per event, in order. An event that is wrong does not stop the others."""
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
        return feedback_pb2.RecordResponse(results=[event_result(outcome) for outcome in outcomes])


def _placed(outcome: EventOutcome, path: str) -> EventOutcome:
    """An outcome whose violations say where in the request the event stands."""
    if not outcome.violations:
        return outcome
    violations = tuple(Violation(f"{path}.{v.field}", v.message) for v in outcome.violations)
    return replace(outcome, violations=violations)
