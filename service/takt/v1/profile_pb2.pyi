import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import error_details_pb2 as _error_details_pb2
from takt.v1 import contact_pb2 as _contact_pb2
from takt.v1 import feedback_pb2 as _feedback_pb2
from takt.v1 import log_pb2 as _log_pb2
from takt.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProfileWriteMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_WRITE_MODE_UNSPECIFIED: _ClassVar[ProfileWriteMode]
    PROFILE_WRITE_MODE_MERGE: _ClassVar[ProfileWriteMode]
    PROFILE_WRITE_MODE_REPLACE: _ClassVar[ProfileWriteMode]

class ProfileWriteOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_WRITE_OUTCOME_UNSPECIFIED: _ClassVar[ProfileWriteOutcome]
    PROFILE_WRITE_OUTCOME_CREATED: _ClassVar[ProfileWriteOutcome]
    PROFILE_WRITE_OUTCOME_UPDATED: _ClassVar[ProfileWriteOutcome]
    PROFILE_WRITE_OUTCOME_REJECTED: _ClassVar[ProfileWriteOutcome]
    PROFILE_WRITE_OUTCOME_UNAVAILABLE: _ClassVar[ProfileWriteOutcome]
PROFILE_WRITE_MODE_UNSPECIFIED: ProfileWriteMode
PROFILE_WRITE_MODE_MERGE: ProfileWriteMode
PROFILE_WRITE_MODE_REPLACE: ProfileWriteMode
PROFILE_WRITE_OUTCOME_UNSPECIFIED: ProfileWriteOutcome
PROFILE_WRITE_OUTCOME_CREATED: ProfileWriteOutcome
PROFILE_WRITE_OUTCOME_UPDATED: ProfileWriteOutcome
PROFILE_WRITE_OUTCOME_REJECTED: ProfileWriteOutcome
PROFILE_WRITE_OUTCOME_UNAVAILABLE: ProfileWriteOutcome

class Profile(_message.Message):
    __slots__ = ("profile_id", "anonymous", "identities", "features", "time_zone", "locale", "form_of_address", "consents", "written_at", "feature_fingerprint", "absorbed_profile_ids")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    FORM_OF_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_AT_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ABSORBED_PROFILE_IDS_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    anonymous: bool
    identities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Identity]
    features: _containers.MessageMap[str, _types_pb2.Value]
    time_zone: str
    locale: str
    form_of_address: _types_pb2.FormOfAddress
    consents: _containers.RepeatedCompositeFieldContainer[Consent]
    written_at: _timestamp_pb2.Timestamp
    feature_fingerprint: str
    absorbed_profile_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, profile_id: _Optional[str] = ..., anonymous: _Optional[bool] = ..., identities: _Optional[_Iterable[_Union[_types_pb2.Identity, _Mapping]]] = ..., features: _Optional[_Mapping[str, _types_pb2.Value]] = ..., time_zone: _Optional[str] = ..., locale: _Optional[str] = ..., form_of_address: _Optional[_Union[_types_pb2.FormOfAddress, str]] = ..., consents: _Optional[_Iterable[_Union[Consent, _Mapping]]] = ..., written_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., feature_fingerprint: _Optional[str] = ..., absorbed_profile_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Consent(_message.Message):
    __slots__ = ("purpose", "granted", "given_at", "source")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    GIVEN_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    granted: bool
    given_at: _timestamp_pb2.Timestamp
    source: str
    def __init__(self, purpose: _Optional[str] = ..., granted: _Optional[bool] = ..., given_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...

class ProfileWrite(_message.Message):
    __slots__ = ("profile_id", "identities", "features", "time_zone", "locale", "form_of_address", "consents", "mode")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Value, _Mapping]] = ...) -> None: ...
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    FORM_OF_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    identities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Identity]
    features: _containers.MessageMap[str, _types_pb2.Value]
    time_zone: str
    locale: str
    form_of_address: _types_pb2.FormOfAddress
    consents: _containers.RepeatedCompositeFieldContainer[Consent]
    mode: ProfileWriteMode
    def __init__(self, profile_id: _Optional[str] = ..., identities: _Optional[_Iterable[_Union[_types_pb2.Identity, _Mapping]]] = ..., features: _Optional[_Mapping[str, _types_pb2.Value]] = ..., time_zone: _Optional[str] = ..., locale: _Optional[str] = ..., form_of_address: _Optional[_Union[_types_pb2.FormOfAddress, str]] = ..., consents: _Optional[_Iterable[_Union[Consent, _Mapping]]] = ..., mode: _Optional[_Union[ProfileWriteMode, str]] = ...) -> None: ...

class ProfileServicePutRequest(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[ProfileWrite]
    def __init__(self, profiles: _Optional[_Iterable[_Union[ProfileWrite, _Mapping]]] = ...) -> None: ...

class ProfileServicePutResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ProfileWriteResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ProfileWriteResult, _Mapping]]] = ...) -> None: ...

class ProfileWriteResult(_message.Message):
    __slots__ = ("profile_id", "outcome", "violations")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    outcome: ProfileWriteOutcome
    violations: _containers.RepeatedCompositeFieldContainer[_error_details_pb2.BadRequest.FieldViolation]
    def __init__(self, profile_id: _Optional[str] = ..., outcome: _Optional[_Union[ProfileWriteOutcome, str]] = ..., violations: _Optional[_Iterable[_Union[_error_details_pb2.BadRequest.FieldViolation, _Mapping]]] = ...) -> None: ...

class ProfileServiceGetRequest(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _types_pb2.ProfileReference
    def __init__(self, profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ...) -> None: ...

class ProfileServiceGetResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ...) -> None: ...

class ProfileServiceLinkRequest(_message.Message):
    __slots__ = ("profile_id", "identities")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    identities: _containers.RepeatedCompositeFieldContainer[_types_pb2.Identity]
    def __init__(self, profile_id: _Optional[str] = ..., identities: _Optional[_Iterable[_Union[_types_pb2.Identity, _Mapping]]] = ...) -> None: ...

class ProfileServiceLinkResponse(_message.Message):
    __slots__ = ("profile_id", "absorbed_profile_ids")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    ABSORBED_PROFILE_IDS_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    absorbed_profile_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, profile_id: _Optional[str] = ..., absorbed_profile_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ProfileServiceExportRequest(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: _types_pb2.ProfileReference
    def __init__(self, profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ...) -> None: ...

class ProfileServiceExportResponse(_message.Message):
    __slots__ = ("profile", "contact", "event", "decision")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    contact: _contact_pb2.Contact
    event: _feedback_pb2.Event
    decision: _log_pb2.DecisionRecord
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ..., contact: _Optional[_Union[_contact_pb2.Contact, _Mapping]] = ..., event: _Optional[_Union[_feedback_pb2.Event, _Mapping]] = ..., decision: _Optional[_Union[_log_pb2.DecisionRecord, _Mapping]] = ...) -> None: ...

class ProfileServiceEraseRequest(_message.Message):
    __slots__ = ("profile", "actor", "reason")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    profile: _types_pb2.ProfileReference
    actor: str
    reason: str
    def __init__(self, profile: _Optional[_Union[_types_pb2.ProfileReference, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ProfileServiceEraseResponse(_message.Message):
    __slots__ = ("profiles", "identities", "contacts", "events", "decisions", "erased_at")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    profiles: int
    identities: int
    contacts: int
    events: int
    decisions: int
    erased_at: _timestamp_pb2.Timestamp
    def __init__(self, profiles: _Optional[int] = ..., identities: _Optional[int] = ..., contacts: _Optional[int] = ..., events: _Optional[int] = ..., decisions: _Optional[int] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
