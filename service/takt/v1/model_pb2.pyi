import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_ROLE_UNSPECIFIED: _ClassVar[ModelRole]
    MODEL_ROLE_IDLE: _ClassVar[ModelRole]
    MODEL_ROLE_CHAMPION: _ClassVar[ModelRole]
    MODEL_ROLE_PREVIOUS: _ClassVar[ModelRole]
    MODEL_ROLE_SHADOW: _ClassVar[ModelRole]
    MODEL_ROLE_CANARY: _ClassVar[ModelRole]
MODEL_ROLE_UNSPECIFIED: ModelRole
MODEL_ROLE_IDLE: ModelRole
MODEL_ROLE_CHAMPION: ModelRole
MODEL_ROLE_PREVIOUS: ModelRole
MODEL_ROLE_SHADOW: ModelRole
MODEL_ROLE_CANARY: ModelRole

class ModelReference(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class BundleFile(_message.Message):
    __slots__ = ("path", "size", "sha256")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    path: str
    size: int
    sha256: bytes
    def __init__(self, path: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("reference", "role", "feature_fingerprint", "goal", "trained_since", "trained_until", "pushed_at", "files", "metrics")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    TRAINED_SINCE_FIELD_NUMBER: _ClassVar[int]
    TRAINED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PUSHED_AT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    reference: ModelReference
    role: ModelRole
    feature_fingerprint: str
    goal: str
    trained_since: _timestamp_pb2.Timestamp
    trained_until: _timestamp_pb2.Timestamp
    pushed_at: _timestamp_pb2.Timestamp
    files: _containers.RepeatedCompositeFieldContainer[BundleFile]
    metrics: _containers.ScalarMap[str, float]
    def __init__(self, reference: _Optional[_Union[ModelReference, _Mapping]] = ..., role: _Optional[_Union[ModelRole, str]] = ..., feature_fingerprint: _Optional[str] = ..., goal: _Optional[str] = ..., trained_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trained_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pushed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., files: _Optional[_Iterable[_Union[BundleFile, _Mapping]]] = ..., metrics: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ModelServicePushRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: BundleHeader
    chunk: BundleChunk
    def __init__(self, header: _Optional[_Union[BundleHeader, _Mapping]] = ..., chunk: _Optional[_Union[BundleChunk, _Mapping]] = ...) -> None: ...

class BundleHeader(_message.Message):
    __slots__ = ("reference", "files", "actor")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    reference: ModelReference
    files: _containers.RepeatedCompositeFieldContainer[BundleFile]
    actor: str
    def __init__(self, reference: _Optional[_Union[ModelReference, _Mapping]] = ..., files: _Optional[_Iterable[_Union[BundleFile, _Mapping]]] = ..., actor: _Optional[str] = ...) -> None: ...

class BundleChunk(_message.Message):
    __slots__ = ("path", "offset", "data")
    PATH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    path: str
    offset: int
    data: bytes
    def __init__(self, path: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class ModelServicePushResponse(_message.Message):
    __slots__ = ("model", "checks")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    model: Model
    checks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., checks: _Optional[_Iterable[str]] = ...) -> None: ...

class ModelServiceListRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ModelServiceListResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class ModelServiceStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelServiceStatusResponse(_message.Message):
    __slots__ = ("champion", "previous", "shadow", "canary", "canary_share", "replicas")
    CHAMPION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    CANARY_SHARE_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    champion: Model
    previous: Model
    shadow: Model
    canary: Model
    canary_share: float
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaModels]
    def __init__(self, champion: _Optional[_Union[Model, _Mapping]] = ..., previous: _Optional[_Union[Model, _Mapping]] = ..., shadow: _Optional[_Union[Model, _Mapping]] = ..., canary: _Optional[_Union[Model, _Mapping]] = ..., canary_share: _Optional[float] = ..., replicas: _Optional[_Iterable[_Union[ReplicaModels, _Mapping]]] = ...) -> None: ...

class ReplicaModels(_message.Message):
    __slots__ = ("replica", "loaded", "problem", "seen_at")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    replica: str
    loaded: _containers.RepeatedCompositeFieldContainer[ModelReference]
    problem: str
    seen_at: _timestamp_pb2.Timestamp
    def __init__(self, replica: _Optional[str] = ..., loaded: _Optional[_Iterable[_Union[ModelReference, _Mapping]]] = ..., problem: _Optional[str] = ..., seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ModelServiceShadowRequest(_message.Message):
    __slots__ = ("reference", "actor", "reason")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    reference: ModelReference
    actor: str
    reason: str
    def __init__(self, reference: _Optional[_Union[ModelReference, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelServiceShadowResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: ModelServiceStatusResponse
    def __init__(self, status: _Optional[_Union[ModelServiceStatusResponse, _Mapping]] = ...) -> None: ...

class ModelServiceCanaryRequest(_message.Message):
    __slots__ = ("reference", "share", "actor", "reason")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    reference: ModelReference
    share: float
    actor: str
    reason: str
    def __init__(self, reference: _Optional[_Union[ModelReference, _Mapping]] = ..., share: _Optional[float] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelServiceCanaryResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: ModelServiceStatusResponse
    def __init__(self, status: _Optional[_Union[ModelServiceStatusResponse, _Mapping]] = ...) -> None: ...

class ModelServicePromoteRequest(_message.Message):
    __slots__ = ("reference", "override_gate", "actor", "reason")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_GATE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    reference: ModelReference
    override_gate: bool
    actor: str
    reason: str
    def __init__(self, reference: _Optional[_Union[ModelReference, _Mapping]] = ..., override_gate: _Optional[bool] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelServicePromoteResponse(_message.Message):
    __slots__ = ("status", "evidence")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    status: ModelServiceStatusResponse
    evidence: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, status: _Optional[_Union[ModelServiceStatusResponse, _Mapping]] = ..., evidence: _Optional[_Iterable[str]] = ...) -> None: ...

class ModelServiceRollbackRequest(_message.Message):
    __slots__ = ("actor", "reason")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    actor: str
    reason: str
    def __init__(self, actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelServiceRollbackResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: ModelServiceStatusResponse
    def __init__(self, status: _Optional[_Union[ModelServiceStatusResponse, _Mapping]] = ...) -> None: ...
