import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from takt.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPLAIN_LEVEL_UNSPECIFIED: _ClassVar[ExplainLevel]
    EXPLAIN_LEVEL_COUNTS: _ClassVar[ExplainLevel]
    EXPLAIN_LEVEL_OFFERS: _ClassVar[ExplainLevel]
    EXPLAIN_LEVEL_FULL: _ClassVar[ExplainLevel]

class PlacementStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLACEMENT_STATUS_UNSPECIFIED: _ClassVar[PlacementStatus]
    PLACEMENT_STATUS_OFFERED: _ClassVar[PlacementStatus]
    PLACEMENT_STATUS_SILENCE: _ClassVar[PlacementStatus]
    PLACEMENT_STATUS_FALLBACK: _ClassVar[PlacementStatus]
    PLACEMENT_STATUS_EMPTY: _ClassVar[PlacementStatus]
EXPLAIN_LEVEL_UNSPECIFIED: ExplainLevel
EXPLAIN_LEVEL_COUNTS: ExplainLevel
EXPLAIN_LEVEL_OFFERS: ExplainLevel
EXPLAIN_LEVEL_FULL: ExplainLevel
PLACEMENT_STATUS_UNSPECIFIED: PlacementStatus
PLACEMENT_STATUS_OFFERED: PlacementStatus
PLACEMENT_STATUS_SILENCE: PlacementStatus
PLACEMENT_STATUS_FALLBACK: PlacementStatus
PLACEMENT_STATUS_EMPTY: PlacementStatus

class DecideRequest(_message.Message):
    __slots__ = ("request_id", "profile_id", "identities", "placements", "context", "timings", "dry_run", "explain", "allow_duplicates", "budget")
    class ContextEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    ALLOW_DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    profile_id: str
    identities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Identity]
    placements: _containers.RepeatedCompositeFieldContainer[PlacementRequest]
    context: _containers.MessageMap[str, _types_pb2.Value]
    timings: _containers.RepeatedScalarFieldContainer[str]
    dry_run: bool
    explain: ExplainLevel
    allow_duplicates: bool
    budget: _duration_pb2.Duration
    def __init__(self, request_id: _Optional[str] = ..., profile_id: _Optional[str] = ..., identities: _Optional[_Iterable[_Union[_types_pb2.Identity, _Mapping]]] = ..., placements: _Optional[_Iterable[_Union[PlacementRequest, _Mapping]]] = ..., context: _Optional[_Mapping[str, _types_pb2.Value]] = ..., timings: _Optional[_Iterable[str]] = ..., dry_run: _Optional[bool] = ..., explain: _Optional[_Union[ExplainLevel, str]] = ..., allow_duplicates: _Optional[bool] = ..., budget: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PlacementRequest(_message.Message):
    __slots__ = ("placement", "max_offers")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    MAX_OFFERS_FIELD_NUMBER: _ClassVar[int]
    placement: str
    max_offers: int
    def __init__(self, placement: _Optional[str] = ..., max_offers: _Optional[int] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("decision_id", "request_id", "profile_id", "anonymous", "stage", "placements", "versions", "degradations", "attempts", "decided_at", "dry_run")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    request_id: str
    profile_id: str
    anonymous: bool
    stage: str
    placements: _containers.RepeatedCompositeFieldContainer[PlacementDecision]
    versions: _types_pb2.Versions
    degradations: _containers.RepeatedCompositeFieldContainer[_types_pb2.Degradation]
    attempts: int
    decided_at: _timestamp_pb2.Timestamp
    dry_run: bool
    def __init__(self, decision_id: _Optional[str] = ..., request_id: _Optional[str] = ..., profile_id: _Optional[str] = ..., anonymous: _Optional[bool] = ..., stage: _Optional[str] = ..., placements: _Optional[_Iterable[_Union[PlacementDecision, _Mapping]]] = ..., versions: _Optional[_Union[_types_pb2.Versions, _Mapping]] = ..., degradations: _Optional[_Iterable[_Union[_types_pb2.Degradation, _Mapping]]] = ..., attempts: _Optional[int] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class PlacementDecision(_message.Message):
    __slots__ = ("placement", "status", "channel", "offers", "fallback", "silence_propensity", "next_moment", "exclusions", "candidates")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    SILENCE_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    NEXT_MOMENT_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIONS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    placement: str
    status: PlacementStatus
    channel: str
    offers: _containers.RepeatedCompositeFieldContainer[RankedOffer]
    fallback: str
    silence_propensity: float
    next_moment: NextMoment
    exclusions: _containers.RepeatedCompositeFieldContainer[Exclusion]
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    def __init__(self, placement: _Optional[str] = ..., status: _Optional[_Union[PlacementStatus, str]] = ..., channel: _Optional[str] = ..., offers: _Optional[_Iterable[_Union[RankedOffer, _Mapping]]] = ..., fallback: _Optional[str] = ..., silence_propensity: _Optional[float] = ..., next_moment: _Optional[_Union[NextMoment, _Mapping]] = ..., exclusions: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ...) -> None: ...

class RankedOffer(_message.Message):
    __slots__ = ("rank", "offer", "channel", "treatment", "timing", "tonality", "form_of_address", "score", "propensity", "offer_propensity", "arm_propensity", "hold_expires_at", "counted_event")
    RANK_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TREATMENT_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    TONALITY_FIELD_NUMBER: _ClassVar[int]
    FORM_OF_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    OFFER_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    ARM_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    HOLD_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    COUNTED_EVENT_FIELD_NUMBER: _ClassVar[int]
    rank: int
    offer: str
    channel: str
    treatment: Treatment
    timing: Timing
    tonality: str
    form_of_address: _types_pb2.FormOfAddress
    score: Score
    propensity: float
    offer_propensity: float
    arm_propensity: float
    hold_expires_at: _timestamp_pb2.Timestamp
    counted_event: _types_pb2.CountedEvent
    def __init__(self, rank: _Optional[int] = ..., offer: _Optional[str] = ..., channel: _Optional[str] = ..., treatment: _Optional[_Union[Treatment, _Mapping]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., tonality: _Optional[str] = ..., form_of_address: _Optional[_Union[_types_pb2.FormOfAddress, str]] = ..., score: _Optional[_Union[Score, _Mapping]] = ..., propensity: _Optional[float] = ..., offer_propensity: _Optional[float] = ..., arm_propensity: _Optional[float] = ..., hold_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., counted_event: _Optional[_Union[_types_pb2.CountedEvent, str]] = ...) -> None: ...

class Treatment(_message.Message):
    __slots__ = ("id", "content", "locale")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    id: str
    content: str
    locale: str
    def __init__(self, id: _Optional[str] = ..., content: _Optional[str] = ..., locale: _Optional[str] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("slot", "not_before", "not_after")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    slot: str
    not_before: _timestamp_pb2.Timestamp
    not_after: _timestamp_pb2.Timestamp
    def __init__(self, slot: _Optional[str] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("acceptance", "baseline", "value", "context_weight", "lever", "annoyance_cost", "reaction", "contact_cost", "total")
    ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LEVER_FIELD_NUMBER: _ClassVar[int]
    ANNOYANCE_COST_FIELD_NUMBER: _ClassVar[int]
    REACTION_FIELD_NUMBER: _ClassVar[int]
    CONTACT_COST_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    acceptance: float
    baseline: float
    value: float
    context_weight: float
    lever: float
    annoyance_cost: float
    reaction: float
    contact_cost: float
    total: float
    def __init__(self, acceptance: _Optional[float] = ..., baseline: _Optional[float] = ..., value: _Optional[float] = ..., context_weight: _Optional[float] = ..., lever: _Optional[float] = ..., annoyance_cost: _Optional[float] = ..., reaction: _Optional[float] = ..., contact_cost: _Optional[float] = ..., total: _Optional[float] = ...) -> None: ...

class NextMoment(_message.Message):
    __slots__ = ("offer", "channel", "timing", "score")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    offer: str
    channel: str
    timing: Timing
    score: float
    def __init__(self, offer: _Optional[str] = ..., channel: _Optional[str] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("reason", "count", "offers", "rule")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    reason: _types_pb2.ReasonCode
    count: int
    offers: _containers.RepeatedScalarFieldContainer[str]
    rule: str
    def __init__(self, reason: _Optional[_Union[_types_pb2.ReasonCode, str]] = ..., count: _Optional[int] = ..., offers: _Optional[_Iterable[str]] = ..., rule: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("offer", "timing", "tonality", "score")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    TONALITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    offer: str
    timing: str
    tonality: str
    score: Score
    def __init__(self, offer: _Optional[str] = ..., timing: _Optional[str] = ..., tonality: _Optional[str] = ..., score: _Optional[_Union[Score, _Mapping]] = ...) -> None: ...

class DecideStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: DecideRequest
    def __init__(self, request: _Optional[_Union[DecideRequest, _Mapping]] = ...) -> None: ...

class DecideStreamResponse(_message.Message):
    __slots__ = ("request_id", "response", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    response: DecideResponse
    error: _status_pb2.Status
    def __init__(self, request_id: _Optional[str] = ..., response: _Optional[_Union[DecideResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...
