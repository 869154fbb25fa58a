import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DegradationCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_CAUSE_UNSPECIFIED: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_STORE: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_MODEL: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_DEADLINE: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_OVERLOAD: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_PROFILE: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_CONTENTION: _ClassVar[DegradationCause]
    DEGRADATION_CAUSE_CATALOG: _ClassVar[DegradationCause]

class ReasonCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_CODE_UNSPECIFIED: _ClassVar[ReasonCode]
    REASON_CODE_NOT_FOR_PLACEMENT: _ClassVar[ReasonCode]
    REASON_CODE_NOT_VALID_YET: _ClassVar[ReasonCode]
    REASON_CODE_EXPIRED: _ClassVar[ReasonCode]
    REASON_CODE_NOT_ELIGIBLE: _ClassVar[ReasonCode]
    REASON_CODE_RULE_ERROR: _ClassVar[ReasonCode]
    REASON_CODE_NO_CONSENT: _ClassVar[ReasonCode]
    REASON_CODE_FORM_OF_ADDRESS: _ClassVar[ReasonCode]
    REASON_CODE_NO_TREATMENT: _ClassVar[ReasonCode]
    REASON_CODE_TIMING_NOT_ALLOWED: _ClassVar[ReasonCode]
    REASON_CODE_TIMING_PASSED: _ClassVar[ReasonCode]
    REASON_CODE_SUPPRESSED: _ClassVar[ReasonCode]
    REASON_CODE_QUIET_HOURS: _ClassVar[ReasonCode]
    REASON_CODE_LEDGER_FULL: _ClassVar[ReasonCode]
    REASON_CODE_MINIMUM_GAP: _ClassVar[ReasonCode]
    REASON_CODE_CAP_PROFILE: _ClassVar[ReasonCode]
    REASON_CODE_CAP_CHANNEL: _ClassVar[ReasonCode]
    REASON_CODE_CAP_PLACEMENT: _ClassVar[ReasonCode]
    REASON_CODE_CAP_GROUP: _ClassVar[ReasonCode]
    REASON_CODE_CAP_OFFER: _ClassVar[ReasonCode]
    REASON_CODE_CAP_TOTAL: _ClassVar[ReasonCode]
    REASON_CODE_MODEL_ERROR: _ClassVar[ReasonCode]
    REASON_CODE_DUPLICATE: _ClassVar[ReasonCode]
    REASON_CODE_BELOW_SILENCE: _ClassVar[ReasonCode]
    REASON_CODE_OUTRANKED: _ClassVar[ReasonCode]
    REASON_CODE_NOT_DRAWN: _ClassVar[ReasonCode]

class FormOfAddress(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORM_OF_ADDRESS_UNSPECIFIED: _ClassVar[FormOfAddress]
    FORM_OF_ADDRESS_FORMAL: _ClassVar[FormOfAddress]
    FORM_OF_ADDRESS_INFORMAL: _ClassVar[FormOfAddress]
    FORM_OF_ADDRESS_NEUTRAL: _ClassVar[FormOfAddress]

class CountedEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COUNTED_EVENT_UNSPECIFIED: _ClassVar[CountedEvent]
    COUNTED_EVENT_DECISION: _ClassVar[CountedEvent]
    COUNTED_EVENT_IMPRESSION: _ClassVar[CountedEvent]
    COUNTED_EVENT_CLICK: _ClassVar[CountedEvent]

class ExplorationRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPLORATION_RULE_UNSPECIFIED: _ClassVar[ExplorationRule]
    EXPLORATION_RULE_GREEDY: _ClassVar[ExplorationRule]
    EXPLORATION_RULE_EPSILON: _ClassVar[ExplorationRule]
    EXPLORATION_RULE_SOFTMAX: _ClassVar[ExplorationRule]
    EXPLORATION_RULE_SQUARE_CB: _ClassVar[ExplorationRule]

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_REQUEST: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    ERROR_REASON_MESSAGE_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_SHUTTING_DOWN: _ClassVar[ErrorReason]
    ERROR_REASON_TOKEN_REQUIRED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_SERVED: _ClassVar[ErrorReason]
    ERROR_REASON_DEFECT: _ClassVar[ErrorReason]
    ERROR_REASON_PROFILE_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_PROFILE_UNREADABLE: _ClassVar[ErrorReason]
    ERROR_REASON_PROFILE_BUSY: _ClassVar[ErrorReason]
    ERROR_REASON_CAP_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_CATALOG_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_CATALOG_CHANGED: _ClassVar[ErrorReason]
    ERROR_REASON_WINDOW_NOT_COVERED: _ClassVar[ErrorReason]
    ERROR_REASON_CATALOG_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_EXISTS: _ClassVar[ErrorReason]
    ERROR_REASON_GATE_NOT_PASSED: _ClassVar[ErrorReason]
DEGRADATION_CAUSE_UNSPECIFIED: DegradationCause
DEGRADATION_CAUSE_STORE: DegradationCause
DEGRADATION_CAUSE_MODEL: DegradationCause
DEGRADATION_CAUSE_DEADLINE: DegradationCause
DEGRADATION_CAUSE_OVERLOAD: DegradationCause
DEGRADATION_CAUSE_PROFILE: DegradationCause
DEGRADATION_CAUSE_CONTENTION: DegradationCause
DEGRADATION_CAUSE_CATALOG: DegradationCause
REASON_CODE_UNSPECIFIED: ReasonCode
REASON_CODE_NOT_FOR_PLACEMENT: ReasonCode
REASON_CODE_NOT_VALID_YET: ReasonCode
REASON_CODE_EXPIRED: ReasonCode
REASON_CODE_NOT_ELIGIBLE: ReasonCode
REASON_CODE_RULE_ERROR: ReasonCode
REASON_CODE_NO_CONSENT: ReasonCode
REASON_CODE_FORM_OF_ADDRESS: ReasonCode
REASON_CODE_NO_TREATMENT: ReasonCode
REASON_CODE_TIMING_NOT_ALLOWED: ReasonCode
REASON_CODE_TIMING_PASSED: ReasonCode
REASON_CODE_SUPPRESSED: ReasonCode
REASON_CODE_QUIET_HOURS: ReasonCode
REASON_CODE_LEDGER_FULL: ReasonCode
REASON_CODE_MINIMUM_GAP: ReasonCode
REASON_CODE_CAP_PROFILE: ReasonCode
REASON_CODE_CAP_CHANNEL: ReasonCode
REASON_CODE_CAP_PLACEMENT: ReasonCode
REASON_CODE_CAP_GROUP: ReasonCode
REASON_CODE_CAP_OFFER: ReasonCode
REASON_CODE_CAP_TOTAL: ReasonCode
REASON_CODE_MODEL_ERROR: ReasonCode
REASON_CODE_DUPLICATE: ReasonCode
REASON_CODE_BELOW_SILENCE: ReasonCode
REASON_CODE_OUTRANKED: ReasonCode
REASON_CODE_NOT_DRAWN: ReasonCode
FORM_OF_ADDRESS_UNSPECIFIED: FormOfAddress
FORM_OF_ADDRESS_FORMAL: FormOfAddress
FORM_OF_ADDRESS_INFORMAL: FormOfAddress
FORM_OF_ADDRESS_NEUTRAL: FormOfAddress
COUNTED_EVENT_UNSPECIFIED: CountedEvent
COUNTED_EVENT_DECISION: CountedEvent
COUNTED_EVENT_IMPRESSION: CountedEvent
COUNTED_EVENT_CLICK: CountedEvent
EXPLORATION_RULE_UNSPECIFIED: ExplorationRule
EXPLORATION_RULE_GREEDY: ExplorationRule
EXPLORATION_RULE_EPSILON: ExplorationRule
EXPLORATION_RULE_SOFTMAX: ExplorationRule
EXPLORATION_RULE_SQUARE_CB: ExplorationRule
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INVALID_REQUEST: ErrorReason
ERROR_REASON_REQUEST_ID_REUSED: ErrorReason
ERROR_REASON_MESSAGE_TOO_LARGE: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_STORE_UNAVAILABLE: ErrorReason
ERROR_REASON_SHUTTING_DOWN: ErrorReason
ERROR_REASON_TOKEN_REQUIRED: ErrorReason
ERROR_REASON_NOT_SERVED: ErrorReason
ERROR_REASON_DEFECT: ErrorReason
ERROR_REASON_PROFILE_NOT_FOUND: ErrorReason
ERROR_REASON_PROFILE_UNREADABLE: ErrorReason
ERROR_REASON_PROFILE_BUSY: ErrorReason
ERROR_REASON_CAP_NOT_FOUND: ErrorReason
ERROR_REASON_CATALOG_INVALID: ErrorReason
ERROR_REASON_CATALOG_CHANGED: ErrorReason
ERROR_REASON_WINDOW_NOT_COVERED: ErrorReason
ERROR_REASON_CATALOG_NOT_FOUND: ErrorReason
ERROR_REASON_MODEL_INVALID: ErrorReason
ERROR_REASON_MODEL_NOT_FOUND: ErrorReason
ERROR_REASON_MODEL_EXISTS: ErrorReason
ERROR_REASON_GATE_NOT_PASSED: ErrorReason

class Identity(_message.Message):
    __slots__ = ("namespace", "value")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    value: str
    def __init__(self, namespace: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class ProfileReference(_message.Message):
    __slots__ = ("profile_id", "identity")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    identity: Identity
    def __init__(self, profile_id: _Optional[str] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class StringList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("string_value", "int_value", "double_value", "bool_value", "timestamp_value", "string_list_value")
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT_VALUE_FIELD_NUMBER: _ClassVar[int]
    DOUBLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_LIST_VALUE_FIELD_NUMBER: _ClassVar[int]
    string_value: str
    int_value: int
    double_value: float
    bool_value: bool
    timestamp_value: _timestamp_pb2.Timestamp
    string_list_value: StringList
    def __init__(self, string_value: _Optional[str] = ..., int_value: _Optional[int] = ..., double_value: _Optional[float] = ..., bool_value: _Optional[bool] = ..., timestamp_value: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., string_list_value: _Optional[_Union[StringList, _Mapping]] = ...) -> None: ...

class Versions(_message.Message):
    __slots__ = ("catalog", "model", "features", "service")
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    catalog: str
    model: str
    features: str
    service: str
    def __init__(self, catalog: _Optional[str] = ..., model: _Optional[str] = ..., features: _Optional[str] = ..., service: _Optional[str] = ...) -> None: ...

class Degradation(_message.Message):
    __slots__ = ("cause", "message")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    cause: DegradationCause
    message: str
    def __init__(self, cause: _Optional[_Union[DegradationCause, str]] = ..., message: _Optional[str] = ...) -> None: ...
