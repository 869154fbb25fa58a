"""The decision log's records as protobuf: `takt.v1.DecisionRecord` and `takt.v1.FeedbackRecord`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from takt.domain.contact import ChangeKind
from takt.errors import RecordError
from takt.v1 import decision_pb2, log_pb2, types_pb2
from takt.wire import answer
from takt.wire.feedback import event_message
from takt.wire.request import request_message

if TYPE_CHECKING:
    from takt.catalog.snapshot import Exploration
    from takt.domain.contact import LedgerChange
    from takt.domain.decision import Decision, PlacementDecision
    from takt.domain.feedback import FeedbackEvent
    from takt.domain.request import DecideRequest
    from takt.ports import SlotTrace, Trace

RECORD_VERSION: Final = 1
"""Of the layout of records and of the derivation of draws."""
RULE: Final[Mapping[str, Any]] = {
    "greedy": types_pb2.EXPLORATION_RULE_GREEDY,
    "epsilon": types_pb2.EXPLORATION_RULE_EPSILON,
    "softmax": types_pb2.EXPLORATION_RULE_SOFTMAX,
    "squarecb": types_pb2.EXPLORATION_RULE_SQUARE_CB,
}
CHANGE: Final[Mapping[ChangeKind, Any]] = {
    ChangeKind.RESET: log_pb2.LEDGER_CHANGE_RESET,
    ChangeKind.BACKFILL: log_pb2.LEDGER_CHANGE_BACKFILL,
}


class ProtobufCodec:
    """Implements `takt.ports.RecordCodec`. Holds no state but the number of the store's partitions."""

    def __init__(self, partitions: int) -> None:
        """Encode for a store of so many partitions."""
        self._partitions = partitions

    def encode(self, request: DecideRequest, decision: Decision, trace: Trace) -> bytes:
        """One decision with everything needed to compute it again. The answer is kept byte for byte."""
        return log_pb2.DecisionRecord(
            record_version=RECORD_VERSION,
            decision_id=decision.decision_id,
            request_id=decision.request_id,
            request_digest=trace.request_digest,
            profile_id=decision.profile_id,
            partition=zlib.crc32(decision.profile_id.encode()) % self._partitions,
            decided_at_us=decision.decided_at_us,
            snapshot_at_us=trace.snapshot_us,
            versions=answer.versions(decision.versions),
            stage=decision.stage,
            request=request_message(request),
            profile_record=trace.profile or b"",
            ledger=trace.ledger,
            context_record=trace.context,
            attempts=decision.attempts,
            commit_check=log_pb2.CommitCheck(compared=trace.compare, slack=trace.slack),
            exploration=_exploration(trace.exploration),
            chain=log_pb2.ChainPosition(index=trace.chained, length=trace.chain),
            placements=[_placement(trace, n, placement) for n, placement in enumerate(decision.placements)],
            degradations=[answer.degradation(d) for d in decision.degradations],
            answer=answer.response(decision).SerializeToString(),
        ).SerializeToString(deterministic=True)

    def decode(self, record: bytes) -> Decision:
        """The answer as it was given: it becomes the identical message again. Raises `RecordError` if it is damaged."""
        try:
            kept = log_pb2.DecisionRecord.FromString(record)
            return answer.decision(decision_pb2.DecideResponse.FromString(kept.answer))
        except DecodeError as error:
            raise RecordError("a record of the decision log is damaged") from error

    def encode_event(self, event: FeedbackEvent, profile_id: str, received_at_us: int) -> bytes:
        """One event, recorded for a profile (empty if only its decision is known), without its identity's value."""
        return log_pb2.FeedbackRecord(
            record_version=RECORD_VERSION,
            event=event_message(event, received_at_us),
            profile_id=profile_id,
            received_at_us=received_at_us,
        ).SerializeToString(deterministic=True)

    def encode_change(self, change: LedgerChange) -> bytes:
        """One change of a ledger by hand: who asked, when and why, and the entries that went and came."""
        return log_pb2.LedgerChangeRecord(
            record_version=RECORD_VERSION,
            profile_id=change.profile_id,
            change=CHANGE[change.kind],
            actor=change.actor,
            reason=change.reason,
            changed_at_us=change.changed_us,
            removed=change.removed,
            added=change.added,
        ).SerializeToString(deterministic=True)


def _exploration(declared: Exploration) -> log_pb2.Exploration:
    """The rules with the parameters that each of them uses."""
    offers = {"epsilon": declared.epsilon, "temperature": declared.temperature, "gamma": declared.gamma}
    arms = {"epsilon": declared.arm_epsilon, "temperature": declared.arm_temperature}
    return log_pb2.Exploration(
        offers=_stage(declared.rule, offers), arms=_stage(declared.arm_rule, arms), silence_floor=declared.silence_floor
    )


_PARAMETER: Final = {"greedy": (), "epsilon": ("epsilon",), "softmax": ("temperature",), "squarecb": ("gamma",)}


def _stage(rule: str, declared: Mapping[str, float]) -> log_pb2.ExplorationStage:
    """One stage's rule with the parameters that it uses."""
    return log_pb2.ExplorationStage(rule=RULE[rule], parameters={name: declared[name] for name in _PARAMETER[rule]})


def _placement(trace: Trace, n: int, placement: PlacementDecision) -> log_pb2.PlacementRecord:
    """What was decided and drawn for placement `n` of the request."""
    return log_pb2.PlacementRecord(
        placement=placement.placement,
        status=answer.STATUS[placement.status],
        max_offers=trace.max_offers[n],
        live_offers=trace.live[n],
        reason_codes=trace.reasons[n],
        slots=[_slot(placement, slot) for slot in trace.slots if slot.placement == n],
    )


def _slot(placement: PlacementDecision, slot: SlotTrace) -> log_pb2.SlotRecord:
    """One draw. The names of what was drawn are those of the answer, where slot k holds rank k + 1."""
    record = log_pb2.SlotRecord(offer_propensity=slot.offer_propensity, offer_draw=slot.offer_draw)
    if slot.offer < 0:
        return record
    shown = placement.offers[slot.slot]
    record.offer = shown.offer
    record.timing = shown.timing.slot
    record.tonality = shown.tonality
    record.form_of_address = answer.FORM_OF_ADDRESS[shown.form_of_address]
    record.treatment = shown.treatment
    record.arm_propensity = slot.arm_propensity
    record.arm_draw = slot.arm_draw
    record.score.CopyFrom(answer.score(shown.score))
    return record
