"""Records of the log as columns: plain lists, one element per decision, placement, slot or event.

What is packed in a record stays packed: profile and context rows are read by `takt.features`, candidates and reasons by
the legend of the record's catalog (`takt.catalog.legend`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import DecodeError
from msgspec import Struct, field

from takt.v1 import decision_pb2, log_pb2, types_pb2
from takt.wire.values import stamped_us

READABLE: Final = 1
"""The version of records that this module reads."""
FACTORS: Final = (
    *("acceptance", "baseline", "value", "context_weight", "lever"),
    *("annoyance_cost", "reaction", "contact_cost", "total"),
)
"""Of a score, in the order of its message."""


class _Names(dict[int, str]):
    """Names of an enum's numbers; a number that came with a later version stands for itself."""

    def __missing__(self, number: int) -> str:
        return str(number)


def _names(enum: Any, prefix: str) -> _Names:
    return _Names({number: name.removeprefix(prefix) for name, number in enum.items()})


_STATUS: Final = _names(decision_pb2.PlacementStatus, "PLACEMENT_STATUS_")
_ADDRESS: Final = _names(types_pb2.FormOfAddress, "FORM_OF_ADDRESS_")
_COUNTED: Final = _names(types_pb2.CountedEvent, "COUNTED_EVENT_")
_CAUSE: Final = _names(types_pb2.DegradationCause, "DEGRADATION_CAUSE_")
_RULE: Final = _names(types_pb2.ExplorationRule, "EXPLORATION_RULE_")
_CHANGE: Final = _names(log_pb2.LedgerChange, "LEDGER_CHANGE_")


class SlotColumns(Struct, frozen=True):
    """One element per draw. Of silence, texts are None, times 0 and factors NaN; its arm has probability 1."""

    offer: list[str | None] = field(default_factory=list)
    timing: list[str | None] = field(default_factory=list)
    tonality: list[str | None] = field(default_factory=list)
    form_of_address: list[str | None] = field(default_factory=list)
    treatment: list[str | None] = field(default_factory=list)
    counted_event: list[str | None] = field(default_factory=list)
    offer_propensity: list[float] = field(default_factory=list)
    arm_propensity: list[float] = field(default_factory=list)
    offer_draw: list[float] = field(default_factory=list)
    arm_draw: list[float] = field(default_factory=list)
    not_before_us: list[int] = field(default_factory=list)
    not_after_us: list[int] = field(default_factory=list)
    hold_expires_us: list[int] = field(default_factory=list)
    """0 where the contact counts from the decision on."""
    score: list[tuple[float, ...]] = field(default_factory=list)
    """The nine `FACTORS`."""


class PlacementColumns(Struct, frozen=True):
    """One element per placement."""

    placement: list[str] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    max_offers: list[int] = field(default_factory=list)
    silence_propensity: list[float] = field(default_factory=list)
    live_offers: list[bytes] = field(default_factory=list)
    reason_codes: list[bytes] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    """How many draws it has, the next ones in `SlotColumns`."""


class DecisionColumns(Struct, frozen=True):
    """One element per decision."""

    decision_id: list[str] = field(default_factory=list)
    request_id: list[str] = field(default_factory=list)
    profile_id: list[str] = field(default_factory=list)
    decided_at_us: list[int] = field(default_factory=list)
    snapshot_at_us: list[int] = field(default_factory=list)
    catalog: list[str] = field(default_factory=list)
    model: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    service: list[str] = field(default_factory=list)
    stage: list[str] = field(default_factory=list)
    anonymous: list[bool] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    compared: list[bool] = field(default_factory=list)
    slack: list[int] = field(default_factory=list)
    chain_index: list[int] = field(default_factory=list)
    chain_length: list[int] = field(default_factory=list)
    exploration: list[str] = field(default_factory=list)
    degradations: list[list[str]] = field(default_factory=list)
    profile_record: list[bytes] = field(default_factory=list)
    context_record: list[bytes] = field(default_factory=list)
    placements: list[int] = field(default_factory=list)
    """How many placements it has, the next ones in `PlacementColumns`."""


class DecisionTables(Struct, frozen=True):
    """Decisions with their placements and draws."""

    decisions: DecisionColumns = field(default_factory=DecisionColumns)
    placements: PlacementColumns = field(default_factory=PlacementColumns)
    slots: SlotColumns = field(default_factory=SlotColumns)
    damaged: list[int] = field(default_factory=list)
    """Positions among the records of those that are none, or of a version that is not read here."""


class FeedbackColumns(Struct, frozen=True):
    """One element per event."""

    event_id: list[str] = field(default_factory=list)
    type: list[str] = field(default_factory=list)
    decision_id: list[str] = field(default_factory=list)
    profile_id: list[str] = field(default_factory=list)
    namespace: list[str] = field(default_factory=list)
    """Of the identity that was named, whose value is not kept."""
    offer: list[str] = field(default_factory=list)
    placement: list[str] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)
    occurred_at_us: list[int] = field(default_factory=list)
    received_at_us: list[int] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    """JSON."""
    damaged: list[int] = field(default_factory=list)


class ChangeColumns(Struct, frozen=True):
    """One element per change of a ledger by hand."""

    profile_id: list[str] = field(default_factory=list)
    change: list[str] = field(default_factory=list)
    actor: list[str] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    changed_at_us: list[int] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)
    added: list[bytes] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)


class ConsentColumns(Struct, frozen=True):
    """One element per consent that changed."""

    profile_id: list[str] = field(default_factory=list)
    purpose: list[str] = field(default_factory=list)
    granted: list[bool] = field(default_factory=list)
    given_at_us: list[int] = field(default_factory=list)
    """0 where it is not known."""
    source: list[str] = field(default_factory=list)
    merged_from: list[str] = field(default_factory=list)
    changed_at_us: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)


def read_decisions(records: Sequence[bytes]) -> DecisionTables:
    """Records of decisions, in their order; those that cannot be read are left out and listed as damaged."""
    tables = DecisionTables()
    add = _DecisionAdder(tables)
    for number, record in enumerate(records):
        kept = _parsed(log_pb2.DecisionRecord, record)
        answer = _answer(kept) if kept else None
        if kept is None or answer is None:
            tables.damaged.append(number)
            continue
        add.decision(kept, answer)
    return tables


def read_feedback(records: Sequence[bytes]) -> FeedbackColumns:
    """Records of events, in their order; those that cannot be read are left out and listed as damaged."""
    columns = FeedbackColumns()
    for number, record in enumerate(records):
        kept = _parsed(log_pb2.FeedbackRecord, record)
        if kept is None:
            columns.damaged.append(number)
            continue
        event = kept.event
        columns.event_id.append(event.event_id)
        columns.type.append(event.type)
        columns.decision_id.append(event.decision_id)
        columns.profile_id.append(kept.profile_id)
        columns.namespace.append(event.identity.namespace)
        columns.offer.append(event.offer)
        columns.placement.append(event.placement)
        columns.channel.append(event.channel)
        columns.occurred_at_us.append(stamped_us(event.occurred_at))
        columns.received_at_us.append(kept.received_at_us)
        columns.value.append(event.value if event.HasField("value") else None)
        columns.attributes.append(_attributes(event.attributes))
    return columns


def read_changes(records: Sequence[bytes]) -> ChangeColumns:
    """Records of changes, in their order; those that cannot be read are left out and listed as damaged."""
    columns = ChangeColumns()
    for number, record in enumerate(records):
        kept = _parsed(log_pb2.LedgerChangeRecord, record)
        if kept is None:
            columns.damaged.append(number)
            continue
        columns.profile_id.append(kept.profile_id)
        columns.change.append(_CHANGE[kept.change])
        columns.actor.append(kept.actor)
        columns.reason.append(kept.reason)
        columns.changed_at_us.append(kept.changed_at_us)
        columns.removed.append(kept.removed)
        columns.added.append(kept.added)
    return columns


def read_consents(records: Sequence[bytes]) -> ConsentColumns:
    """Records of consents, in their order; those that cannot be read are left out and listed as damaged."""
    columns = ConsentColumns()
    for number, record in enumerate(records):
        kept = _parsed(log_pb2.ConsentChangeRecord, record)
        if kept is None:
            columns.damaged.append(number)
            continue
        columns.profile_id.append(kept.profile_id)
        columns.purpose.append(kept.purpose)
        columns.granted.append(kept.granted)
        columns.given_at_us.append(kept.given_at_us)
        columns.source.append(kept.source)
        columns.merged_from.append(kept.merged_from)
        columns.changed_at_us.append(kept.changed_at_us)
    return columns


class _Versioned(Protocol):
    record_version: int


M = TypeVar("M", bound=_Versioned)


def _parsed(kind: type[M], record: bytes) -> M | None:
    """The message, None where it is none or of another version."""
    try:
        kept: M = kind.FromString(record)  # type: ignore[attr-defined]
    except DecodeError:
        return None
    return kept if kept.record_version == READABLE else None


def _answer(kept: log_pb2.DecisionRecord) -> decision_pb2.DecideResponse | None:
    """The answer in a record, None where it does not tell of the same decision, placements and offers."""
    try:
        answer = decision_pb2.DecideResponse.FromString(kept.answer)
    except DecodeError:
        return None
    recorded = [(p.placement, sum(slot.offer != "" for slot in p.slots)) for p in kept.placements]
    answered = [(p.placement, len(p.offers)) for p in answer.placements]
    return answer if kept.decision_id == answer.decision_id and recorded == answered else None


def _attributes(attributes: Mapping[str, types_pb2.Value]) -> str:
    if not attributes:
        return "{}"
    plain: dict[str, Any] = {}
    for name in sorted(attributes):
        value = attributes[name]
        kind = value.WhichOneof("kind")
        match kind:
            case None:
                plain[name] = None
            case "string_list_value":
                plain[name] = list(value.string_list_value.values)
            case "timestamp_value":
                plain[name] = stamped_us(value.timestamp_value)
            case _:
                plain[name] = getattr(value, kind)
    return json.dumps(plain, ensure_ascii=False)


class _DecisionAdder:
    """Appends decisions to columns."""

    def __init__(self, tables: DecisionTables) -> None:
        self._tables = tables
        self._explorations: dict[bytes, str] = {}

    def decision(self, kept: log_pb2.DecisionRecord, answer: decision_pb2.DecideResponse) -> None:
        """One decision, its placements and their draws."""
        c = self._tables.decisions
        versions, check, chain = kept.versions, kept.commit_check, kept.chain
        c.decision_id.append(kept.decision_id)
        c.request_id.append(kept.request_id)
        c.profile_id.append(kept.profile_id)
        c.decided_at_us.append(kept.decided_at_us)
        c.snapshot_at_us.append(kept.snapshot_at_us)
        c.catalog.append(versions.catalog)
        c.model.append(versions.model)
        c.features.append(versions.features)
        c.service.append(versions.service)
        c.stage.append(kept.stage)
        c.anonymous.append(answer.anonymous)
        c.attempts.append(kept.attempts)
        c.compared.append(check.compared)
        c.slack.append(check.slack)
        c.chain_index.append(chain.index)
        c.chain_length.append(chain.length)
        c.exploration.append(self._exploration(kept.exploration))
        c.degradations.append([_CAUSE[d.cause] for d in kept.degradations])
        c.profile_record.append(kept.profile_record)
        c.context_record.append(kept.context_record)
        c.placements.append(len(kept.placements))
        for placement, answered in zip(kept.placements, answer.placements, strict=True):
            self._placement(placement, answered, kept.decided_at_us)

    def _placement(
        self, kept: log_pb2.PlacementRecord, answered: decision_pb2.PlacementDecision, decided_at_us: int
    ) -> None:
        c = self._tables.placements
        c.placement.append(kept.placement)
        c.channel.append(answered.channel)
        c.status.append(_STATUS[kept.status])
        c.max_offers.append(kept.max_offers)
        c.silence_propensity.append(answered.silence_propensity)
        c.live_offers.append(kept.live_offers)
        c.reason_codes.append(kept.reason_codes)
        c.slots.append(len(kept.slots))
        shown = iter(answered.offers)
        for slot in kept.slots:
            if slot.offer:
                self._offer(slot, next(shown))
            else:
                self._silence(slot, decided_at_us)

    def _offer(self, slot: log_pb2.SlotRecord, shown: decision_pb2.RankedOffer) -> None:
        c = self._tables.slots
        c.offer.append(slot.offer)
        c.timing.append(slot.timing)
        c.tonality.append(slot.tonality)
        c.form_of_address.append(_ADDRESS[slot.form_of_address])
        c.treatment.append(slot.treatment)
        c.counted_event.append(_COUNTED[shown.counted_event])
        c.offer_propensity.append(slot.offer_propensity)
        c.arm_propensity.append(slot.arm_propensity)
        c.offer_draw.append(slot.offer_draw)
        c.arm_draw.append(slot.arm_draw)
        c.not_before_us.append(stamped_us(shown.timing.not_before))
        c.not_after_us.append(stamped_us(shown.timing.not_after))
        c.hold_expires_us.append(stamped_us(shown.hold_expires_at) if shown.HasField("hold_expires_at") else 0)
        s = slot.score
        c.score.append(
            (
                *(s.acceptance, s.baseline, s.value, s.context_weight, s.lever),
                *(s.annoyance_cost, s.reaction, s.contact_cost, s.total),
            )
        )

    def _silence(self, slot: log_pb2.SlotRecord, decided_at_us: int) -> None:
        c = self._tables.slots
        for column in (c.offer, c.timing, c.tonality, c.form_of_address, c.treatment, c.counted_event):
            column.append(None)
        c.offer_propensity.append(slot.offer_propensity)
        c.arm_propensity.append(1.0)
        c.offer_draw.append(slot.offer_draw)
        c.arm_draw.append(0.0)
        c.not_before_us.append(decided_at_us)
        c.not_after_us.append(decided_at_us)
        c.hold_expires_us.append(0)
        c.score.append(_NO_SCORE)

    def _exploration(self, message: log_pb2.Exploration) -> str:
        key = message.SerializeToString(deterministic=True)
        told = self._explorations.get(key)
        if told is None:
            told = f"{_stage(message.offers)} floor={message.silence_floor:g} arms={_stage(message.arms)}"
            self._explorations[key] = told
        return told


_NO_SCORE: Final = (float("nan"),) * len(FACTORS)


def _stage(message: log_pb2.ExplorationStage) -> str:
    parameters = ",".join(f"{name}={message.parameters[name]:g}" for name in sorted(message.parameters))
    return f"{_RULE[message.rule].lower().replace('_', '')}({parameters})"
