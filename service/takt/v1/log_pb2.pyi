from takt.v1 import decision_pb2 as _decision_pb2
from takt.v1 import feedback_pb2 as _feedback_pb2
from takt.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LedgerChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEDGER_CHANGE_UNSPECIFIED: _ClassVar[LedgerChange]
    LEDGER_CHANGE_RESET: _ClassVar[LedgerChange]
    LEDGER_CHANGE_BACKFILL: _ClassVar[LedgerChange]
LEDGER_CHANGE_UNSPECIFIED: LedgerChange
LEDGER_CHANGE_RESET: LedgerChange
LEDGER_CHANGE_BACKFILL: LedgerChange

class DecisionRecord(_message.Message):
    __slots__ = ("record_version", "decision_id", "request_id", "request_digest", "profile_id", "partition", "decided_at_us", "snapshot_at_us", "versions", "stage", "request", "profile_record", "ledger", "context_record", "attempts", "commit_check", "exploration", "chain", "placements", "degradations", "answer")
    RECORD_VERSION_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_US_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_AT_US_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    PROFILE_RECORD_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_RECORD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_CHECK_FIELD_NUMBER: _ClassVar[int]
    EXPLORATION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    record_version: int
    decision_id: str
    request_id: str
    request_digest: bytes
    profile_id: str
    partition: int
    decided_at_us: int
    snapshot_at_us: int
    versions: _types_pb2.Versions
    stage: str
    request: _decision_pb2.DecideRequest
    profile_record: bytes
    ledger: bytes
    context_record: bytes
    attempts: int
    commit_check: CommitCheck
    exploration: Exploration
    chain: ChainPosition
    placements: _containers.RepeatedCompositeFieldContainer[PlacementRecord]
    degradations: _containers.RepeatedCompositeFieldContainer[_types_pb2.Degradation]
    answer: bytes
    def __init__(self, record_version: _Optional[int] = ..., decision_id: _Optional[str] = ..., request_id: _Optional[str] = ..., request_digest: _Optional[bytes] = ..., profile_id: _Optional[str] = ..., partition: _Optional[int] = ..., decided_at_us: _Optional[int] = ..., snapshot_at_us: _Optional[int] = ..., versions: _Optional[_Union[_types_pb2.Versions, _Mapping]] = ..., stage: _Optional[str] = ..., request: _Optional[_Union[_decision_pb2.DecideRequest, _Mapping]] = ..., profile_record: _Optional[bytes] = ..., ledger: _Optional[bytes] = ..., context_record: _Optional[bytes] = ..., attempts: _Optional[int] = ..., commit_check: _Optional[_Union[CommitCheck, _Mapping]] = ..., exploration: _Optional[_Union[Exploration, _Mapping]] = ..., chain: _Optional[_Union[ChainPosition, _Mapping]] = ..., placements: _Optional[_Iterable[_Union[PlacementRecord, _Mapping]]] = ..., degradations: _Optional[_Iterable[_Union[_types_pb2.Degradation, _Mapping]]] = ..., answer: _Optional[bytes] = ...) -> None: ...

class CommitCheck(_message.Message):
    __slots__ = ("compared", "slack")
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    SLACK_FIELD_NUMBER: _ClassVar[int]
    compared: bool
    slack: int
    def __init__(self, compared: _Optional[bool] = ..., slack: _Optional[int] = ...) -> None: ...

class Exploration(_message.Message):
    __slots__ = ("offers", "arms", "silence_floor")
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FLOOR_FIELD_NUMBER: _ClassVar[int]
    offers: ExplorationStage
    arms: ExplorationStage
    silence_floor: float
    def __init__(self, offers: _Optional[_Union[ExplorationStage, _Mapping]] = ..., arms: _Optional[_Union[ExplorationStage, _Mapping]] = ..., silence_floor: _Optional[float] = ...) -> None: ...

class ExplorationStage(_message.Message):
    __slots__ = ("rule", "parameters")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RULE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    rule: _types_pb2.ExplorationRule
    parameters: _containers.ScalarMap[str, float]
    def __init__(self, rule: _Optional[_Union[_types_pb2.ExplorationRule, str]] = ..., parameters: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ChainPosition(_message.Message):
    __slots__ = ("index", "length")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    index: int
    length: int
    def __init__(self, index: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class PlacementRecord(_message.Message):
    __slots__ = ("placement", "status", "max_offers", "live_offers", "reason_codes", "slots")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MAX_OFFERS_FIELD_NUMBER: _ClassVar[int]
    LIVE_OFFERS_FIELD_NUMBER: _ClassVar[int]
    REASON_CODES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    placement: str
    status: _decision_pb2.PlacementStatus
    max_offers: int
    live_offers: bytes
    reason_codes: bytes
    slots: _containers.RepeatedCompositeFieldContainer[SlotRecord]
    def __init__(self, placement: _Optional[str] = ..., status: _Optional[_Union[_decision_pb2.PlacementStatus, str]] = ..., max_offers: _Optional[int] = ..., live_offers: _Optional[bytes] = ..., reason_codes: _Optional[bytes] = ..., slots: _Optional[_Iterable[_Union[SlotRecord, _Mapping]]] = ...) -> None: ...

class SlotRecord(_message.Message):
    __slots__ = ("offer", "timing", "tonality", "form_of_address", "treatment", "offer_propensity", "arm_propensity", "offer_draw", "arm_draw", "score")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    TONALITY_FIELD_NUMBER: _ClassVar[int]
    FORM_OF_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TREATMENT_FIELD_NUMBER: _ClassVar[int]
    OFFER_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    ARM_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    OFFER_DRAW_FIELD_NUMBER: _ClassVar[int]
    ARM_DRAW_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    offer: str
    timing: str
    tonality: str
    form_of_address: _types_pb2.FormOfAddress
    treatment: str
    offer_propensity: float
    arm_propensity: float
    offer_draw: float
    arm_draw: float
    score: _decision_pb2.Score
    def __init__(self, offer: _Optional[str] = ..., timing: _Optional[str] = ..., tonality: _Optional[str] = ..., form_of_address: _Optional[_Union[_types_pb2.FormOfAddress, str]] = ..., treatment: _Optional[str] = ..., offer_propensity: _Optional[float] = ..., arm_propensity: _Optional[float] = ..., offer_draw: _Optional[float] = ..., arm_draw: _Optional[float] = ..., score: _Optional[_Union[_decision_pb2.Score, _Mapping]] = ...) -> None: ...

class FeedbackRecord(_message.Message):
    __slots__ = ("record_version", "event", "profile_id", "received_at_us")
    RECORD_VERSION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_US_FIELD_NUMBER: _ClassVar[int]
    record_version: int
    event: _feedback_pb2.Event
    profile_id: str
    received_at_us: int
    def __init__(self, record_version: _Optional[int] = ..., event: _Optional[_Union[_feedback_pb2.Event, _Mapping]] = ..., profile_id: _Optional[str] = ..., received_at_us: _Optional[int] = ...) -> None: ...

class ConsentChangeRecord(_message.Message):
    __slots__ = ("record_version", "profile_id", "purpose", "granted", "given_at_us", "source", "changed_at_us", "merged_from")
    RECORD_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    GIVEN_AT_US_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_US_FIELD_NUMBER: _ClassVar[int]
    MERGED_FROM_FIELD_NUMBER: _ClassVar[int]
    record_version: int
    profile_id: str
    purpose: str
    granted: bool
    given_at_us: int
    source: str
    changed_at_us: int
    merged_from: str
    def __init__(self, record_version: _Optional[int] = ..., profile_id: _Optional[str] = ..., purpose: _Optional[str] = ..., granted: _Optional[bool] = ..., given_at_us: _Optional[int] = ..., source: _Optional[str] = ..., changed_at_us: _Optional[int] = ..., merged_from: _Optional[str] = ...) -> None: ...

class LedgerChangeRecord(_message.Message):
    __slots__ = ("record_version", "profile_id", "change", "actor", "reason", "changed_at_us", "removed", "added")
    RECORD_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_US_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    record_version: int
    profile_id: str
    change: LedgerChange
    actor: str
    reason: str
    changed_at_us: int
    removed: bytes
    added: bytes
    def __init__(self, record_version: _Optional[int] = ..., profile_id: _Optional[str] = ..., change: _Optional[_Union[LedgerChange, str]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., changed_at_us: _Optional[int] = ..., removed: _Optional[bytes] = ..., added: _Optional[bytes] = ...) -> None: ...
