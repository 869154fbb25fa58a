"""The decision log keeps answers byte for byte, events without names, and every rule of exploration."""

from __future__ import annotations

import pytest

from takt.catalog.snapshot import Exploration
from takt.decisionlog.codec import ProtobufCodec
from takt.decisionlog.writing import exploration
from takt.domain.feedback import FeedbackEvent
from takt.domain.request import Identity
from takt.errors import RecordError
from takt.v1 import log_pb2, types_pb2

CODEC = ProtobufCodec(partitions=64)


@pytest.mark.parametrize("rule", ["greedy", "epsilon", "softmax", "squarecb"])
def test_every_rule_can_be_logged(rule: str) -> None:
    """Each rule of exploration has its name in the contract, and its own parameters alone."""
    kept = exploration(Exploration(rule, epsilon=0.05, temperature=3.0, gamma=7.0, arm_rule="softmax"))

    expected = {"epsilon": {"epsilon": 0.05}, "softmax": {"temperature": 3.0}, "squarecb": {"gamma": 7.0}}
    assert expected.get(rule, {}) == dict(kept.offers.parameters)
    assert types_pb2.EXPLORATION_RULE_SOFTMAX == kept.arms.rule
    assert rule.replace("squarecb", "square_cb").upper() in types_pb2.ExplorationRule.Name(kept.offers.rule)


def test_a_damaged_record_is_an_error() -> None:
    """What is not a record is said to be none, in the service's own words."""
    with pytest.raises(RecordError, match="damaged"):
        CODEC.answer_in(b"\xff\xff")


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
