"""An event is read whole, or rejected alone with everything that is wrong with it."""

from __future__ import annotations

import math

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from takt.domain.feedback import EventOutcome, FeedbackEvent, FeedbackOutcome
from takt.domain.request import Identity
from takt.errors import Violation
from takt.v1 import feedback_pb2
from takt.v1.types_pb2 import Identity as IdentityMessage
from takt.v1.types_pb2 import Value
from takt.wire.feedback import event_message, event_result, feedback_event


def test_every_field_is_read() -> None:
    """What happened arrives in the domain's words."""
    message = feedback_pb2.Event(
        event_id="e-1",
        type="purchase",
        decision_id="d-1",
        identity=IdentityMessage(namespace="crm", value="42"),
        offer="milk",
        placement="hero",
        channel="web",
        occurred_at=Timestamp(seconds=5),
        attributes={"items": Value(int_value=2)},
        value=9.5,
    )

    assert FeedbackEvent(
        event_id="e-1",
        type="purchase",
        decision_id="d-1",
        identity=Identity("crm", "42"),
        offer="milk",
        placement="hero",
        channel="web",
        occurred_at_us=5_000_000,
        attributes={"items": 2},
        value=9.5,
    ) == feedback_event(message, "events[0]")


def test_what_is_not_given_stays_so() -> None:
    """A worth of zero is not the same as no worth, nor is the epoch the same as now."""
    event = feedback_event(feedback_pb2.Event(event_id="e", type="click", profile_id="p"), "events[0]")

    assert FeedbackEvent(event_id="e", type="click", profile_id="p", value=None, occurred_at_us=0) == event


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": "e" * 129}, "event_id"),
        ({"type": ""}, "type"),
        ({"profile_id": "", "decision_id": ""}, "decision_id"),
        ({"profile_id": "p", "identity": IdentityMessage(namespace="a", value="b")}, "profile_id"),
        ({"profile_id": "", "identity": IdentityMessage(namespace="A", value="b")}, "identity.namespace"),
        ({"value": math.inf}, "value"),
        ({"occurred_at": Timestamp(seconds=10**12)}, "occurred_at"),
        ({"attributes": {"a": Value(double_value=math.nan)}}, 'attributes["a"]'),
        ({"attributes": {f"a{n}": Value(int_value=n) for n in range(65)}}, "attributes"),
        ({"offer": "o" * 257}, "offer"),
    ],
)
def test_wrong_events_are_rejected_by_field(given: dict[str, object], field: str) -> None:
    """Each limit is kept; the violation's path begins where the event stands in the request."""
    right: dict[str, object] = {"event_id": "e", "type": "click", "profile_id": "p"}
    message = feedback_pb2.Event(**right | given)  # type: ignore[arg-type]  # spread over all fields

    rejected = feedback_event(message, "events[3]")

    assert isinstance(rejected, EventOutcome)
    assert FeedbackOutcome.REJECTED == rejected.outcome
    assert [f"events[3].{field}"] == [violation.field for violation in rejected.violations]


def test_outcomes_have_their_names_in_the_contract() -> None:
    """Every outcome can be told, and every one of the contract's exists."""
    told = {
        feedback_pb2.EventOutcome.Name(event_result(EventOutcome("e", outcome)).outcome) for outcome in FeedbackOutcome
    }

    assert {name for name, number in feedback_pb2.EventOutcome.items() if number} == told


def test_violations_are_told() -> None:
    """A rejected event comes back with its id and what would be right."""
    result = event_result(EventOutcome("e", FeedbackOutcome.REJECTED, (Violation("events[0].type", "is unknown"),)))

    assert ("e", [("events[0].type", "is unknown")]) == (
        result.event_id,
        [(v.field, v.description) for v in result.violations],
    )


def test_the_log_keeps_no_identity_value() -> None:
    """What is logged of an event says when it happened and through which namespace, and no more of the person."""
    kept = event_message(FeedbackEvent("e", "click", identity=Identity("login", "ada")), received_at_us=7_000_001)

    assert (IdentityMessage(namespace="login"), Timestamp(seconds=7, nanos=1_000)) == (kept.identity, kept.occurred_at)
    assert not kept.HasField("value")
