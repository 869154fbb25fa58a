"""The engine's answer to `takt.v1.DecideResponse` and back.

The two are inverse: what was read back becomes the identical message, byte for byte. The log keeps the serialised
answer, and a repeated request is answered from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from takt.domain.decision import (
    Candidate,
    Decision,
    Degradation,
    Exclusion,
    NextMoment,
    PlacementDecision,
    RankedOffer,
    Score,
    TimingWindow,
    Versions,
)
from takt.domain.reasons import Cause, Reason, Status
from takt.v1 import decision_pb2, types_pb2
from takt.wire.values import stamped_us, timestamp

STATUS: Final[Mapping[Status, Any]] = {
    s: decision_pb2.PlacementStatus.Value(f"PLACEMENT_STATUS_{s.name}") for s in Status
}
CAUSE: Final[Mapping[Cause, Any]] = {c: types_pb2.DegradationCause.Value(f"DEGRADATION_CAUSE_{c.name}") for c in Cause}
REASON: Final[Mapping[Reason, Any]] = {r: r.value for r in Reason}
FORM_OF_ADDRESS: Final[Mapping[str, Any]] = {
    name: types_pb2.FormOfAddress.Value(f"FORM_OF_ADDRESS_{name}") for name in ("FORMAL", "INFORMAL", "NEUTRAL")
}
COUNTED_EVENT: Final[Mapping[str, Any]] = {
    name: types_pb2.CountedEvent.Value(f"COUNTED_EVENT_{name}") for name in ("DECISION", "IMPRESSION", "CLICK")
}
ONE_BYTE: Final = tuple(bytes((size,)) for size in range(0x80))
_STATUS: Final = {number: status for status, number in STATUS.items()}
_CAUSE: Final = {number: cause for cause, number in CAUSE.items()}
_FORM_OF_ADDRESS: Final = {number: name for name, number in FORM_OF_ADDRESS.items()}
_COUNTED_EVENT: Final = {number: name for name, number in COUNTED_EVENT.items()}


def response(decision: Decision) -> decision_pb2.DecideResponse:
    """A decision as its message."""
    return decision_pb2.DecideResponse(
        decision_id=decision.decision_id,
        request_id=decision.request_id,
        profile_id=decision.profile_id,
        anonymous=decision.anonymous,
        stage=decision.stage,
        placements=[_placement(p) for p in decision.placements],
        versions=versions(decision.versions),
        degradations=[degradation(d) for d in decision.degradations],
        attempts=decision.attempts,
        decided_at=timestamp(decision.decided_at_us),
        dry_run=decision.dry_run,
    )


def named(nameless: bytes, names: Sequence[tuple[str, str, str]]) -> list[bytes]:
    """A serialised response without ids under many: of the decision, of the request, and of the profile.

    They are the message's first fields: what protobuf would write.
    """
    return [
        b"".join((_text(b"\x0a", decision_id), _text(b"\x12", request_id), _text(b"\x1a", profile_id), nameless))
        for decision_id, request_id, profile_id in names
    ]


def _text(tag: bytes, text: str) -> bytes:
    """A field that is a text; nothing for an empty one."""
    if not text:
        return b""
    value = text.encode()
    return b"".join((tag, varint(len(value)), value))


def varint(number: int) -> bytes:
    """A number that is not negative, as protobuf states lengths."""
    if number < 0x80:
        return ONE_BYTE[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decision(message: decision_pb2.DecideResponse) -> Decision:
    """The decision that a message of this service states."""
    return Decision(
        decision_id=message.decision_id,
        request_id=message.request_id,
        profile_id=message.profile_id,
        anonymous=message.anonymous,
        stage=message.stage,
        placements=tuple(_read_placement(p) for p in message.placements),
        versions=Versions(
            catalog=message.versions.catalog,
            model=message.versions.model,
            features=message.versions.features,
            service=message.versions.service,
        ),
        decided_at_us=stamped_us(message.decided_at),
        attempts=message.attempts,
        dry_run=message.dry_run,
        degradations=tuple(Degradation(_CAUSE[d.cause], d.message) for d in message.degradations),
    )


def versions(value: Versions) -> types_pb2.Versions:
    """What was in force, as a message."""
    return types_pb2.Versions(catalog=value.catalog, model=value.model, features=value.features, service=value.service)


def degradation(value: Degradation) -> types_pb2.Degradation:
    """A cause with its sentence, as a message."""
    return types_pb2.Degradation(cause=CAUSE[value.cause], message=value.message)


def score(value: Score) -> decision_pb2.Score:
    """Every factor of a score, as a message."""
    return decision_pb2.Score(
        acceptance=value.acceptance,
        baseline=value.baseline,
        value=value.value,
        context_weight=value.context_weight,
        lever=value.lever,
        annoyance_cost=value.annoyance_cost,
        reaction=value.reaction,
        contact_cost=value.contact_cost,
        total=value.total,
    )


def _read_score(message: decision_pb2.Score) -> Score:
    return Score(
        acceptance=message.acceptance,
        baseline=message.baseline,
        value=message.value,
        context_weight=message.context_weight,
        lever=message.lever,
        annoyance_cost=message.annoyance_cost,
        reaction=message.reaction,
        contact_cost=message.contact_cost,
        total=message.total,
    )


def _timing(window: TimingWindow) -> decision_pb2.Timing:
    return decision_pb2.Timing(
        slot=window.slot, not_before=timestamp(window.not_before_us), not_after=timestamp(window.not_after_us)
    )


def _read_timing(message: decision_pb2.Timing) -> TimingWindow:
    return TimingWindow(message.slot, stamped_us(message.not_before), stamped_us(message.not_after))


def _placement(value: PlacementDecision) -> decision_pb2.PlacementDecision:
    return decision_pb2.PlacementDecision(
        placement=value.placement,
        status=STATUS[value.status],
        channel=value.channel,
        offers=[_offer(o) for o in value.offers],
        fallback=value.fallback,
        silence_propensity=value.silence_propensity,
        next_moment=_next_moment(value.next_moment),
        exclusions=[
            decision_pb2.Exclusion(reason=REASON[e.reason], count=e.count, offers=e.offers, rule=e.detail)
            for e in value.exclusions
        ],
        candidates=[
            decision_pb2.Candidate(offer=c.offer, timing=c.timing, tonality=c.tonality, score=score(c.score))
            for c in value.candidates
        ],
    )


def _read_placement(message: decision_pb2.PlacementDecision) -> PlacementDecision:
    moment = message.next_moment
    return PlacementDecision(
        placement=message.placement,
        channel=message.channel,
        status=_STATUS[message.status],
        offers=tuple(_read_offer(o) for o in message.offers),
        fallback=message.fallback,
        silence_propensity=message.silence_propensity,
        next_moment=NextMoment(moment.offer, moment.channel, _read_timing(moment.timing), moment.score)
        if message.HasField("next_moment")
        else None,
        exclusions=tuple(Exclusion(Reason(e.reason), e.count, tuple(e.offers), e.rule) for e in message.exclusions),
        candidates=tuple(Candidate(c.offer, c.timing, c.tonality, _read_score(c.score)) for c in message.candidates),
    )


def _next_moment(value: NextMoment | None) -> decision_pb2.NextMoment | None:
    if value is None:
        return None
    return decision_pb2.NextMoment(
        offer=value.offer, channel=value.channel, timing=_timing(value.timing), score=value.total
    )


def _offer(value: RankedOffer) -> decision_pb2.RankedOffer:
    return decision_pb2.RankedOffer(
        rank=value.rank,
        offer=value.offer,
        channel=value.channel,
        treatment=decision_pb2.Treatment(id=value.treatment, content=value.content, locale=value.locale),
        timing=_timing(value.timing),
        tonality=value.tonality,
        form_of_address=FORM_OF_ADDRESS[value.form_of_address],
        score=score(value.score),
        propensity=value.offer_propensity * value.arm_propensity,
        offer_propensity=value.offer_propensity,
        arm_propensity=value.arm_propensity,
        hold_expires_at=timestamp(value.hold_expires_us) if value.hold_expires_us else None,
        counted_event=COUNTED_EVENT[value.counted_event],
    )


def _read_offer(message: decision_pb2.RankedOffer) -> RankedOffer:
    return RankedOffer(
        rank=message.rank,
        offer=message.offer,
        channel=message.channel,
        treatment=message.treatment.id,
        content=message.treatment.content,
        locale=message.treatment.locale,
        tonality=message.tonality,
        form_of_address=_FORM_OF_ADDRESS[message.form_of_address],
        timing=_read_timing(message.timing),
        score=_read_score(message.score),
        offer_propensity=message.offer_propensity,
        arm_propensity=message.arm_propensity,
        hold_expires_us=stamped_us(message.hold_expires_at) if message.HasField("hold_expires_at") else 0,
        counted_event=_COUNTED_EVENT[message.counted_event],
    )
