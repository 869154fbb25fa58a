"""A decision becomes a message and comes back the same."""

from __future__ import annotations

from hypothesis import given, settings

from takt.domain.decision import Decision
from takt.domain.reasons import Cause, Reason, Status
from takt.v1 import decision_pb2, types_pb2
from takt.wire.answer import decision, response
from tests.unit.wire.decisions import decisions


@settings(max_examples=50)
@given(decisions)
def test_what_is_read_back_is_the_same(made: Decision) -> None:
    """Over the wire and back, a decision is equal, and its message is identical byte for byte."""
    sent = response(made).SerializeToString()

    read = decision(decision_pb2.DecideResponse.FromString(sent))

    assert made == read
    assert sent == response(read).SerializeToString()


@settings(max_examples=50)
@given(decisions)
def test_propensity_is_the_product(made: Decision) -> None:
    """The probability of a selection is that of the offer times that of its arm."""
    for placement, message in zip(made.placements, response(made).placements, strict=True):
        assert [o.offer_propensity * o.arm_propensity for o in placement.offers] == [
            o.propensity for o in message.offers
        ]


def test_words_of_the_domain_are_those_of_the_contract() -> None:
    """Every reason, status and cause has its name in the contract; reasons share the number too."""
    assert {r.value: r.name for r in Reason if r} == {
        number: name.removeprefix("REASON_CODE_") for name, number in types_pb2.ReasonCode.items() if number
    }
    assert {s.name for s in Status} == {
        name.removeprefix("PLACEMENT_STATUS_") for name, number in decision_pb2.PlacementStatus.items() if number
    }
    assert {c.name for c in Cause} == {
        name.removeprefix("DEGRADATION_CAUSE_") for name, number in types_pb2.DegradationCause.items() if number
    }
