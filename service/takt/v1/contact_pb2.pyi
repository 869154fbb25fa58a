import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import error_details_pb2 as _error_details_pb2
from takt.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContactState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTACT_STATE_UNSPECIFIED: _ClassVar[ContactState]
    CONTACT_STATE_HELD: _ClassVar[ContactState]
    CONTACT_STATE_CONFIRMED: _ClassVar[ContactState]
    CONTACT_STATE_LATE: _ClassVar[ContactState]
    CONTACT_STATE_RELEASED: _ClassVar[ContactState]
    CONTACT_STATE_EXPIRED: _ClassVar[ContactState]
    CONTACT_STATE_BACKFILLED: _ClassVar[ContactState]

class CapScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAP_SCOPE_UNSPECIFIED: _ClassVar[CapScope]
    CAP_SCOPE_PROFILE: _ClassVar[CapScope]
    CAP_SCOPE_CHANNEL: _ClassVar[CapScope]
    CAP_SCOPE_PLACEMENT: _ClassVar[CapScope]
    CAP_SCOPE_OFFER: _ClassVar[CapScope]
    CAP_SCOPE_GROUP: _ClassVar[CapScope]
    CAP_SCOPE_TOTAL: _ClassVar[CapScope]

class BackfillOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKFILL_OUTCOME_UNSPECIFIED: _ClassVar[BackfillOutcome]
    BACKFILL_OUTCOME_ADDED: _ClassVar[BackfillOutcome]
    BACKFILL_OUTCOME_DUPLICATE: _ClassVar[BackfillOutcome]
    BACKFILL_OUTCOME_TOO_OLD: _ClassVar[BackfillOutcome]
    BACKFILL_OUTCOME_REJECTED: _ClassVar[BackfillOutcome]
    BACKFILL_OUTCOME_UNAVAILABLE: _ClassVar[BackfillOutcome]

class AuditFindingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_FINDING_KIND_UNSPECIFIED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_MISSING_IN_LEDGER: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_MISSING_IN_LOG: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_DIFFERENT: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_CAP_EXCEEDED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_TOTAL_MISMATCH: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_LATE: _ClassVar[AuditFindingKind]
CONTACT_STATE_UNSPECIFIED: ContactState
CONTACT_STATE_HELD: ContactState
CONTACT_STATE_CONFIRMED: ContactState
CONTACT_STATE_LATE: ContactState
CONTACT_STATE_RELEASED: ContactState
CONTACT_STATE_EXPIRED: ContactState
CONTACT_STATE_BACKFILLED: ContactState
CAP_SCOPE_UNSPECIFIED: CapScope
CAP_SCOPE_PROFILE: CapScope
CAP_SCOPE_CHANNEL: CapScope
CAP_SCOPE_PLACEMENT: CapScope
CAP_SCOPE_OFFER: CapScope
CAP_SCOPE_GROUP: CapScope
CAP_SCOPE_TOTAL: CapScope
BACKFILL_OUTCOME_UNSPECIFIED: BackfillOutcome
BACKFILL_OUTCOME_ADDED: BackfillOutcome
BACKFILL_OUTCOME_DUPLICATE: BackfillOutcome
BACKFILL_OUTCOME_TOO_OLD: BackfillOutcome
BACKFILL_OUTCOME_REJECTED: BackfillOutcome
BACKFILL_OUTCOME_UNAVAILABLE: BackfillOutcome
AUDIT_FINDING_KIND_UNSPECIFIED: AuditFindingKind
AUDIT_FINDING_KIND_MISSING_IN_LEDGER: AuditFindingKind
AUDIT_FINDING_KIND_MISSING_IN_LOG: AuditFindingKind
AUDIT_FINDING_KIND_DIFFERENT: AuditFindingKind
AUDIT_FINDING_KIND_CAP_EXCEEDED: AuditFindingKind
AUDIT_FINDING_KIND_TOTAL_MISMATCH: AuditFindingKind
AUDIT_FINDING_KIND_LATE: AuditFindingKind

class Contact(_message.Message):
    __slots__ = ("counted_at", "state", "origin_namespace", "offer", "group", "channel", "placement", "decision_id", "hold_expires_at")
    COUNTED_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    HOLD_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    counted_at: _timestamp_pb2.Timestamp
    state: ContactState
    origin_namespace: str
    offer: str
    group: str
    channel: str
    placement: str
    decision_id: str
    hold_expires_at: _timestamp_pb2.Timestamp
    def __init__(self, counted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[ContactState, str]] = ..., origin_namespace: _Optional[str] = ..., offer: _Optional[str] = ..., group: _Optional[str] = ..., channel: _Optional[str] = ..., placement: _Optional[str] = ..., decision_id: _Optional[str] = ..., hold_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CapState(_message.Message):
    __slots__ = ("cap", "scope", "subject", "limit", "counted", "held", "window_start", "window_end", "next_possible_at")
    CAP_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    NEXT_POSSIBLE_AT_FIELD_NUMBER: _ClassVar[int]
    cap: str
    scope: CapScope
    subject: str
    limit: int
    counted: int
    held: int
    window_start: _timestamp_pb2.Timestamp
    window_end: _timestamp_pb2.Timestamp
    next_possible_at: _timestamp_pb2.Timestamp
    def __init__(self, cap: _Optional[str] = ..., scope: _Optional[_Union[CapScope, str]] = ..., subject: _Optional[str] = ..., limit: _Optional[int] = ..., counted: _Optional[int] = ..., held: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_possible_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ContactServiceListRequest(_message.Message):
    __slots__ = ("profile", "totals", "since", "until")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    profile: _types_pb2.ProfileReference
    totals: _containers.RepeatedScalarFieldContainer[str]
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ..., totals: _Optional[_Iterable[str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ContactServiceListResponse(_message.Message):
    __slots__ = ("profile_id", "contacts", "caps", "as_of", "suppressions")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    CAPS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    SUPPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    contacts: _containers.RepeatedCompositeFieldContainer[Contact]
    caps: _containers.RepeatedCompositeFieldContainer[CapState]
    as_of: _timestamp_pb2.Timestamp
    suppressions: _containers.RepeatedCompositeFieldContainer[Suppression]
    def __init__(self, profile_id: _Optional[str] = ..., contacts: _Optional[_Iterable[_Union[Contact, _Mapping]]] = ..., caps: _Optional[_Iterable[_Union[CapState, _Mapping]]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., suppressions: _Optional[_Iterable[_Union[Suppression, _Mapping]]] = ...) -> None: ...

class Suppression(_message.Message):
    __slots__ = ("offer", "group", "since", "until")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    offer: str
    group: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, offer: _Optional[str] = ..., group: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ContactServiceResetRequest(_message.Message):
    __slots__ = ("profile", "channel", "offer", "before", "actor", "reason", "group", "since")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    profile: _types_pb2.ProfileReference
    channel: str
    offer: str
    before: _timestamp_pb2.Timestamp
    actor: str
    reason: str
    group: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ..., channel: _Optional[str] = ..., offer: _Optional[str] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., group: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ContactServiceResetResponse(_message.Message):
    __slots__ = ("removed", "reset_at")
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    RESET_AT_FIELD_NUMBER: _ClassVar[int]
    removed: int
    reset_at: _timestamp_pb2.Timestamp
    def __init__(self, removed: _Optional[int] = ..., reset_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BackfillContact(_message.Message):
    __slots__ = ("contact_id", "profile", "counted_at", "channel", "offer", "placement")
    CONTACT_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    COUNTED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    contact_id: str
    profile: _types_pb2.ProfileReference
    counted_at: _timestamp_pb2.Timestamp
    channel: str
    offer: str
    placement: str
    def __init__(self, contact_id: _Optional[str] = ..., profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ..., counted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[str] = ..., offer: _Optional[str] = ..., placement: _Optional[str] = ...) -> None: ...

class ContactServiceBackfillRequest(_message.Message):
    __slots__ = ("contacts", "covered_since", "actor", "reason")
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    COVERED_SINCE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    contacts: _containers.RepeatedCompositeFieldContainer[BackfillContact]
    covered_since: _timestamp_pb2.Timestamp
    actor: str
    reason: str
    def __init__(self, contacts: _Optional[_Iterable[_Union[BackfillContact, _Mapping]]] = ..., covered_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ContactServiceBackfillResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BackfillResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BackfillResult, _Mapping]]] = ...) -> None: ...

class BackfillResult(_message.Message):
    __slots__ = ("contact_id", "outcome", "violations")
    CONTACT_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    contact_id: str
    outcome: BackfillOutcome
    violations: _containers.RepeatedCompositeFieldContainer[_error_details_pb2.BadRequest.FieldViolation]
    def __init__(self, contact_id: _Optional[str] = ..., outcome: _Optional[_Union[BackfillOutcome, str]] = ..., violations: _Optional[_Iterable[_Union[_error_details_pb2.BadRequest.FieldViolation, _Mapping]]] = ...) -> None: ...

class ContactServiceAuditRequest(_message.Message):
    __slots__ = ("profile", "partitions", "since", "until")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    profile: _types_pb2.ProfileReference
    partitions: _containers.RepeatedScalarFieldContainer[int]
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ..., partitions: _Optional[_Iterable[int]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ContactServiceAuditResponse(_message.Message):
    __slots__ = ("finding", "summary")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    finding: AuditFinding
    summary: AuditSummary
    def __init__(self, finding: _Optional[_Union[AuditFinding, _Mapping]] = ..., summary: _Optional[_Union[AuditSummary, _Mapping]] = ...) -> None: ...

class AuditFinding(_message.Message):
    __slots__ = ("kind", "profile_id", "contact", "cap", "counted", "logged", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    LOGGED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: AuditFindingKind
    profile_id: str
    contact: Contact
    cap: str
    counted: int
    logged: int
    message: str
    def __init__(self, kind: _Optional[_Union[AuditFindingKind, str]] = ..., profile_id: _Optional[str] = ..., contact: _Optional[_Union[Contact, _Mapping]] = ..., cap: _Optional[str] = ..., counted: _Optional[int] = ..., logged: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class AuditSummary(_message.Message):
    __slots__ = ("profiles", "contacts", "totals", "findings", "late", "log_since")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    LOG_SINCE_FIELD_NUMBER: _ClassVar[int]
    profiles: int
    contacts: int
    totals: int
    findings: int
    late: int
    log_since: _timestamp_pb2.Timestamp
    def __init__(self, profiles: _Optional[int] = ..., contacts: _Optional[int] = ..., totals: _Optional[int] = ..., findings: _Optional[int] = ..., late: _Optional[int] = ..., log_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
