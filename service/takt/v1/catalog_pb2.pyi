import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CatalogProblemSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CATALOG_PROBLEM_SEVERITY_UNSPECIFIED: _ClassVar[CatalogProblemSeverity]
    CATALOG_PROBLEM_SEVERITY_ERROR: _ClassVar[CatalogProblemSeverity]
    CATALOG_PROBLEM_SEVERITY_WARNING: _ClassVar[CatalogProblemSeverity]
CATALOG_PROBLEM_SEVERITY_UNSPECIFIED: CatalogProblemSeverity
CATALOG_PROBLEM_SEVERITY_ERROR: CatalogProblemSeverity
CATALOG_PROBLEM_SEVERITY_WARNING: CatalogProblemSeverity

class CatalogFile(_message.Message):
    __slots__ = ("path", "content")
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    path: str
    content: bytes
    def __init__(self, path: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class CatalogProblem(_message.Message):
    __slots__ = ("severity", "file", "line", "column", "field", "message")
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    severity: CatalogProblemSeverity
    file: str
    line: int
    column: int
    field: str
    message: str
    def __init__(self, severity: _Optional[_Union[CatalogProblemSeverity, str]] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class CatalogServiceValidateRequest(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[CatalogFile]
    def __init__(self, files: _Optional[_Iterable[_Union[CatalogFile, _Mapping]]] = ...) -> None: ...

class CatalogServiceValidateResponse(_message.Message):
    __slots__ = ("problems", "version")
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[CatalogProblem]
    version: str
    def __init__(self, problems: _Optional[_Iterable[_Union[CatalogProblem, _Mapping]]] = ..., version: _Optional[str] = ...) -> None: ...

class CatalogServiceApplyRequest(_message.Message):
    __slots__ = ("files", "expected_version", "actor", "reason")
    FILES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[CatalogFile]
    expected_version: str
    actor: str
    reason: str
    def __init__(self, files: _Optional[_Iterable[_Union[CatalogFile, _Mapping]]] = ..., expected_version: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CatalogServiceApplyResponse(_message.Message):
    __slots__ = ("version", "previous_version", "applied_at", "problems")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    version: str
    previous_version: str
    applied_at: _timestamp_pb2.Timestamp
    problems: _containers.RepeatedCompositeFieldContainer[CatalogProblem]
    def __init__(self, version: _Optional[str] = ..., previous_version: _Optional[str] = ..., applied_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[CatalogProblem, _Mapping]]] = ...) -> None: ...

class CatalogServiceGetRequest(_message.Message):
    __slots__ = ("version", "include_files")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_FILES_FIELD_NUMBER: _ClassVar[int]
    version: str
    include_files: bool
    def __init__(self, version: _Optional[str] = ..., include_files: _Optional[bool] = ...) -> None: ...

class CatalogServiceGetResponse(_message.Message):
    __slots__ = ("version", "in_force", "applied_at", "actor", "reason", "files", "history", "covered_since")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    COVERED_SINCE_FIELD_NUMBER: _ClassVar[int]
    version: str
    in_force: bool
    applied_at: _timestamp_pb2.Timestamp
    actor: str
    reason: str
    files: _containers.RepeatedCompositeFieldContainer[CatalogFile]
    history: _containers.RepeatedCompositeFieldContainer[CatalogChange]
    covered_since: _timestamp_pb2.Timestamp
    def __init__(self, version: _Optional[str] = ..., in_force: _Optional[bool] = ..., applied_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., files: _Optional[_Iterable[_Union[CatalogFile, _Mapping]]] = ..., history: _Optional[_Iterable[_Union[CatalogChange, _Mapping]]] = ..., covered_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CatalogChange(_message.Message):
    __slots__ = ("edition", "version", "applied_at", "actor", "reason")
    EDITION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    edition: int
    version: str
    applied_at: _timestamp_pb2.Timestamp
    actor: str
    reason: str
    def __init__(self, edition: _Optional[int] = ..., version: _Optional[str] = ..., applied_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
