"""Records of the log as columns."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from msgspec import Struct
from msgspec.structs import replace

from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.reading import DecisionTables, read_changes, read_decisions, read_feedback
from takt.domain.contact import ChangeKind, LedgerChange
from takt.domain.decision import Decision
from takt.domain.feedback import FeedbackEvent
from takt.domain.request import Identity
from takt.v1 import log_pb2
from takt.wire.answer import response
from takt.wire.values import timestamp
from tests.unit.wire.decisions import decisions

CODEC = ProtobufCodec(partitions=64)


def record_of(decision: Decision, **changes: Any) -> bytes:
    """A record of which every offer of the answer was drawn in its slot, and then silence."""
    answer = response(decision)
    return log_pb2.DecisionRecord(
        **{
            "record_version": 1,
            "decision_id": decision.decision_id,
            "request_id": decision.request_id,
            "profile_id": decision.profile_id,
            "decided_at_us": decision.decided_at_us,
            "attempts": 2,
            "profile_record": b"p",
            "context_record": b"c",
            "exploration": log_pb2.Exploration(
                offers=log_pb2.ExplorationStage(rule=4, parameters={"gamma": 10.0}),
                arms=log_pb2.ExplorationStage(rule=2, parameters={"epsilon": 0.1}),
                silence_floor=0.01,
            ),
            "placements": [
                log_pb2.PlacementRecord(
                    placement=placement.placement,
                    status=placement.status,
                    live_offers=b"\x05",
                    slots=[
                        *(
                            log_pb2.SlotRecord(offer=o.offer, treatment=o.treatment.id, arm_propensity=0.25)
                            for o in placement.offers
                        ),
                        log_pb2.SlotRecord(offer_propensity=0.5),
                    ],
                )
                for placement in answer.placements
            ],
            "answer": answer.SerializeToString(),
            **changes,
        }
    ).SerializeToString()


def named(decision: Decision) -> Decision:
    """The same, with a name for every offer: none is what silence has."""
    return replace(
        decision,
        placements=tuple(
            replace(p, offers=tuple(replace(o, offer=o.offer or "bread") for o in p.offers))
            for p in decision.placements
        ),
    )


DECISIONS = decisions.map(named)


def whole(columns: Struct) -> bool:
    """Whether all columns have as many elements."""
    return 1 == len({len(getattr(columns, name)) for name in columns.__struct_fields__ if name != "damaged"})


@settings(max_examples=30)
@given(DECISIONS)
def test_every_decision_placement_and_draw_is_an_element(decision: Decision) -> None:
    """Whatever was decided, the columns are whole and say how they belong together."""
    read = read_decisions([record_of(decision), record_of(decision)])

    assert all(whole(columns) for columns in (read.decisions, read.placements, read.slots))
    assert [decision.decision_id] * 2 == read.decisions.decision_id
    assert [len(decision.placements)] * 2 == read.decisions.placements
    assert [p.channel for p in decision.placements] * 2 == read.placements.channel
    assert [len(p.offers) + 1 for p in decision.placements] * 2 == read.placements.slots
    drawn = [text for p in decision.placements for text in [*(o.offer for o in p.offers), None]]
    assert drawn * 2 == read.slots.offer
    shown = [o for p in decision.placements for o in p.offers]
    assert [o.timing.not_before_us for o in shown] * 2 == [
        at for at, offer in zip(read.slots.not_before_us, read.slots.offer, strict=True) if offer is not None
    ]
    assert [o.hold_expires_us for o in shown] * 2 == [
        at for at, offer in zip(read.slots.hold_expires_us, read.slots.offer, strict=True) if offer is not None
    ]


@settings(max_examples=10)
@given(DECISIONS)
def test_silence_has_no_arm(decision: Decision) -> None:
    """Its arm is certain, and its score is none."""
    read = read_decisions([record_of(decision)])

    for offer, arm, score in zip(read.slots.offer, read.slots.arm_propensity, read.slots.score, strict=True):
        if offer is None:
            assert (1.0, True) == (arm, all(math.isnan(factor) for factor in score))
    assert {"squarecb(gamma=10) floor=0.01 arms=epsilon(epsilon=0.1)"} == set(read.decisions.exploration)


@settings(max_examples=10)
@given(DECISIONS)
def test_what_cannot_be_read_is_listed(decision: Decision) -> None:
    """A damaged record costs itself, not its neighbours."""
    other = record_of(decision, decision_id="of another answer")
    read = read_decisions([b"\xff\xff", record_of(decision), record_of(decision, record_version=2), other, b""])

    assert [decision.decision_id] == read.decisions.decision_id
    assert [0, 2, 3, 4] == read.damaged


def test_nothing_read_is_no_columns() -> None:
    """No records, no elements."""
    assert DecisionTables() == read_decisions([])


def test_events_keep_what_was_said() -> None:
    """Everything of an event but the value of its identity; a value of zero is one."""
    event = FeedbackEvent(
        "e1",
        "purchase",
        decision_id="d1",
        identity=Identity("crm", "4711"),
        offer="milk",
        occurred_at_us=5_000_001,
        attributes={"b": 1, "a": ("x", "y"), "c": True, "d": "ü"},
        value=0.0,
    )
    other = FeedbackEvent("e2", "click", decision_id="d1")

    read = read_feedback([CODEC.encode_event(event, "p", 9), b"\xff", CODEC.encode_event(other, "", 10)])

    assert whole(read)
    assert (["e1", "e2"], ["p", ""], ["crm", ""]) == (read.event_id, read.profile_id, read.namespace)
    assert ([5_000_001, 10], [9, 10]) == (read.occurred_at_us, read.received_at_us)
    assert [0.0, None] == read.value
    assert {"a": ["x", "y"], "b": 1, "c": True, "d": "ü"} == json.loads(read.attributes[0])
    assert [1] == read.damaged


def test_times_among_attributes_are_numbers() -> None:
    """JSON has no times: microseconds stand for them."""
    record = log_pb2.FeedbackRecord(record_version=1)
    record.event.attributes["at"].timestamp_value.CopyFrom(timestamp(5))
    record.event.attributes["nothing"].SetInParent()

    assert ['{"at": 5, "nothing": null}'] == read_feedback([record.SerializeToString()]).attributes


def test_changes_keep_who_and_why() -> None:
    """Changes by hand are read as they were written."""
    change = LedgerChange("p", ChangeKind.RESET, "ann", "wrong import", 3, b"r" * 32, b"")

    read = read_changes([b"x", CODEC.encode_change(change)])

    assert whole(read)
    assert [0] == read.damaged
    assert (["p"], ["RESET"], ["ann"], ["wrong import"], [3], [b"r" * 32], [b""]) == (
        *(read.profile_id, read.change, read.actor, read.reason),
        *(read.changed_at_us, read.removed, read.added),
    )
