"""`takt.v1.Event` to feedback values, and their outcomes to results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from takt.domain.feedback import EventOutcome, FeedbackEvent, FeedbackOutcome
from takt.errors import Violation
from takt.v1 import feedback_pb2, types_pb2
from takt.wire.values import (
    LONGEST_ID,
    LONGEST_PROFILE_ID,
    identity,
    length,
    scalars,
    time_us,
    timestamp,
    value_message,
)
from takt.wire.violations import field_violations

MOST_ATTRIBUTES: Final = 64
OUTCOME: Final[Mapping[FeedbackOutcome, Any]] = {
    o: feedback_pb2.EventOutcome.Value(f"EVENT_OUTCOME_{o.name}") for o in FeedbackOutcome
}


def feedback_event(message: feedback_pb2.Event, path: str) -> FeedbackEvent | EventOutcome:
    """One event as a value, or its rejection with everything that is wrong with it, fields below `path`."""
    found: list[Violation] = []
    if message.profile_id and message.HasField("identity"):
        found.append(Violation(f"{path}.profile_id", "give profile_id or identity, and not both"))
    if not (message.decision_id or message.profile_id or message.HasField("identity")):
        found.append(Violation(f"{path}.decision_id", "give the decision or the person that it concerns"))
    if message.HasField("value") and not math.isfinite(message.value):
        found.append(Violation(f"{path}.value", "must be finite; leave out what is not known"))
    event = FeedbackEvent(
        event_id=length(message.event_id, f"{path}.event_id", found, least=1, most=LONGEST_ID),
        type=length(message.type, f"{path}.type", found, least=1),
        decision_id=length(message.decision_id, f"{path}.decision_id", found),
        profile_id=length(message.profile_id, f"{path}.profile_id", found, most=LONGEST_PROFILE_ID),
        identity=identity(message.identity, f"{path}.identity", found) if message.HasField("identity") else None,
        offer=length(message.offer, f"{path}.offer", found),
        placement=length(message.placement, f"{path}.placement", found),
        channel=length(message.channel, f"{path}.channel", found),
        occurred_at_us=time_us(message.occurred_at, f"{path}.occurred_at", found)
        if message.HasField("occurred_at")
        else 0,
        attributes=scalars(message.attributes, f"{path}.attributes", found, most=MOST_ATTRIBUTES),
        value=message.value if message.HasField("value") else None,
    )
    if found:
        return EventOutcome(message.event_id[:LONGEST_ID], FeedbackOutcome.REJECTED, tuple(found))
    return event


def event_message(event: FeedbackEvent, received_at_us: int) -> feedback_pb2.Event:
    """An event as the log keeps it: without its identity's value, and always with the moment that it happened."""
    return feedback_pb2.Event(
        event_id=event.event_id,
        type=event.type,
        decision_id=event.decision_id,
        profile_id=event.profile_id,
        identity=types_pb2.Identity(namespace=event.identity.namespace) if event.identity else None,
        offer=event.offer,
        placement=event.placement,
        channel=event.channel,
        occurred_at=timestamp(event.occurred_at_us or received_at_us),
        attributes={name: value_message(value) for name, value in event.attributes.items()},
        value=event.value,
    )


def event_result(outcome: EventOutcome) -> feedback_pb2.EventResult:
    """What became of an event, as a message."""
    return feedback_pb2.EventResult(
        event_id=outcome.event_id,
        outcome=OUTCOME[outcome.outcome],
        violations=field_violations(outcome.violations),
    )
