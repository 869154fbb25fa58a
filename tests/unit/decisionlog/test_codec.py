"""The decision log keeps the answer byte for byte, and everything that was read and drawn."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings

from takt.catalog.snapshot import Exploration
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.decision import Decision, PlacementDecision, RankedOffer
from takt.domain.feedback import FeedbackEvent
from takt.domain.reasons import Status
from takt.domain.request import DecideRequest, Identity, PlacementAsk
from takt.errors import RecordError
from takt.ports import SlotTrace, Trace
from takt.v1 import log_pb2, types_pb2
from takt.wire.answer import response
from tests.unit.wire.decisions import decisions, offers_of

CODEC = ProtobufCodec(partitions=64)
EXPLORATION = Exploration("epsilon", epsilon=0.05, temperature=3.0, arm_rule="softmax", arm_temperature=0.2)


def request_of(decision: Decision) -> DecideRequest:
    """A request that could have had this answer."""
    return DecideRequest(decision.request_id, tuple(PlacementAsk(p.placement) for p in decision.placements))


def trace_of(decision: Decision) -> Trace:
    """A trace that fits: every offer drawn in its slot, and then silence."""
    return Trace(
        request_digest=b"d" * 16,
        snapshot_us=5,
        profile=None,
        ledger=b"l" * 64,
        context=b"c" * 8,
        chained=1,
        chain=3,
        compare=True,
        slack=2,
        slots=tuple(
            SlotTrace(p, k, 7 if k < len(placement.offers) else -1, 0, 0, 0.5, 0.25, 0.125, 0.75)
            for p, placement in enumerate(decision.placements)
            for k in range(len(placement.offers) + 1)
        ),
        reasons=tuple(bytes([0, 40, 230]) for _ in decision.placements),
        live=tuple(b"\x05" for _ in decision.placements),
        max_offers=tuple(4 for _ in decision.placements),
        exploration=EXPLORATION,
    )


@settings(max_examples=30)
@given(decisions)
def test_the_answer_comes_back_identical(decision: Decision) -> None:
    """What was encoded is decoded to an equal decision, whose message is the logged one byte for byte."""
    record = CODEC.encode(request_of(decision), decision, trace_of(decision))

    assert decision == CODEC.decode(record)
    assert log_pb2.DecisionRecord.FromString(record).answer == response(CODEC.decode(record)).SerializeToString()


@settings(max_examples=30)
@given(offers_of(2))
def test_every_draw_is_kept(offers: tuple[RankedOffer, ...]) -> None:
    """A slot's record names what was drawn, as the answer does; silence names nothing."""
    placement = PlacementDecision("hero", "web", Status.OFFERED, offers)
    decided = replace(CODEC.decode(b""), placements=(placement,))

    record = log_pb2.DecisionRecord.FromString(CODEC.encode(request_of(decided), decided, trace_of(decided)))

    (kept,) = record.placements
    assert [o.offer for o in placement.offers] + [""] == [slot.offer for slot in kept.slots]
    assert [o.tonality for o in placement.offers] + [""] == [slot.tonality for slot in kept.slots]
    assert [(0.5, 0.25), (0.5, 0.25), (0.5, 0.0)] == [(s.offer_propensity, s.arm_propensity) for s in kept.slots]
    assert [(0.125, 0.75), (0.125, 0.75), (0.125, 0.0)] == [(s.offer_draw, s.arm_draw) for s in kept.slots]
    assert (b"\x05", bytes([0, 40, 230]), 4) == (kept.live_offers, kept.reason_codes, kept.max_offers)


@settings(max_examples=30)
@given(decisions)
def test_what_was_read_is_kept(decision: Decision) -> None:
    """Record, ledger, context, comparison, chain and exploration are logged, and the partition is the store's."""
    record = log_pb2.DecisionRecord.FromString(CODEC.encode(request_of(decision), decision, trace_of(decision)))

    assert (b"", b"l" * 64, b"c" * 8) == (record.profile_record, record.ledger, record.context_record)
    assert (True, 2) == (record.commit_check.compared, record.commit_check.slack)
    assert (1, 3) == (record.chain.index, record.chain.length)
    assert (types_pb2.EXPLORATION_RULE_EPSILON, {"epsilon": 0.05}) == (
        record.exploration.offers.rule,
        dict(record.exploration.offers.parameters),
    )
    assert (types_pb2.EXPLORATION_RULE_SOFTMAX, {"temperature": 0.2}) == (
        record.exploration.arms.rule,
        dict(record.exploration.arms.parameters),
    )
    assert zlib.crc32(decision.profile_id.encode()) % 64 == record.partition


@pytest.mark.parametrize("rule", ["greedy", "epsilon", "softmax", "squarecb"])
def test_every_rule_can_be_logged(rule: str) -> None:
    """Each rule of exploration has its name in the contract."""
    decision = CODEC.decode(b"")
    trace = Trace(b"", 0, None, b"", b"", 0, 1, False, 0, (), (), (), (), Exploration(rule, arm_rule="greedy"))

    record = log_pb2.DecisionRecord.FromString(CODEC.encode(request_of(decision), decision, trace))

    assert types_pb2.EXPLORATION_RULE_GREEDY == record.exploration.arms.rule
    assert rule.replace("squarecb", "square_cb").upper() in types_pb2.ExplorationRule.Name(
        record.exploration.offers.rule
    )


def test_a_damaged_record_is_an_error() -> None:
    """What is not a record is said to be none, in the service's own words."""
    with pytest.raises(RecordError, match="damaged"):
        CODEC.decode(b"\xff\xff")


def test_an_event_is_logged_without_its_identity() -> None:
    """An event's record has the profile that it was recorded for, and not the name that led there."""
    event = FeedbackEvent("e", "click", identity=Identity("login", "ada@example.org"), occurred_at_us=3)

    kept = log_pb2.FeedbackRecord.FromString(CODEC.encode_event(event, "p-1", 9_000_000))

    assert ("p-1", 9_000_000, "login", "") == (
        kept.profile_id,
        kept.received_at_us,
        kept.event.identity.namespace,
        kept.event.identity.value,
    )
    assert 3_000 == kept.event.occurred_at.nanos
