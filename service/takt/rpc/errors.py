"""The one place where errors become gRPC statuses, with `google.rpc` details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import uuid4

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from msgspec import Struct, field

from takt.errors import (
    CatalogChangedError,
    CatalogNotFoundError,
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
    RecordError,
    RequestIdReusedError,
    StoreError,
    TaktError,
    Violation,
    WindowNotCoveredError,
    WorkspaceError,
)
from takt.v1.types_pb2 import ErrorReason
from takt.wire.violations import field_violations

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN: Final = "takt.v1"
DETAILS_KEY: Final = "grpc-status-details-bin"
MOST_DETAIL_BYTES: Final = 4096
"""Of violations: details travel in trailers, and clients take 8 KiB of these in all, after Base64."""
LONGEST_MESSAGE: Final = 512


class OverloadedError(TaktError):
    """Too much is waiting already."""

    def __init__(self, retry_after_s: float) -> None:
        """Say when to come back."""
        super().__init__("too many calls are waiting; try again after the delay in RetryInfo")
        self.retry_after_s = retry_after_s


class MessageTooLargeError(TaktError):
    """A message is larger than is read."""

    def __init__(self, size: int, most: int) -> None:
        """Say how large it is, and how large it may be."""
        super().__init__(f"the message has {size} bytes, at most {most} are read")


class LateError(TaktError):
    """The time was spent before there was an answer."""


class DrainingError(TaktError):
    """The replica is about to end."""

    def __init__(self) -> None:
        """Say that others go on."""
        super().__init__("this replica is shutting down; call again, another one will answer")


class NotServedError(TaktError):
    """The call is part of the contract, and not served by this version."""

    def __init__(self, method: str) -> None:
        """Name the call."""
        super().__init__(f"{method} is not served by this version")


class TokenRequiredError(TaktError):
    """The listener wants a bearer token, and there was none or a wrong one."""

    def __init__(self) -> None:
        """Say what to send."""
        super().__init__("this listener wants the metadata `authorization: Bearer TOKEN`")


class DefectError(TaktError):
    """Something went wrong that nobody foresaw. Its log line bears the call's id."""

    def __init__(self) -> None:
        """Make up an id that leads from the answer to the log."""
        self.call = uuid4().hex
        super().__init__(f"a defect in the service; its log has the trace under call {self.call}")


class Refusal(Struct, frozen=True):
    """What a caller is told instead of an answer."""

    code: grpc.StatusCode
    reason: int
    """An `ErrorReason`."""
    message: str
    violations: tuple[Violation, ...] = ()
    retry_after_s: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason_name(self) -> str:
        """As it stands in `ErrorInfo`."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")

    def status(self) -> Status:
        """As `google.rpc.Status` with all details."""
        details: list[Any] = [ErrorInfo(reason=self.reason_name, domain=DOMAIN, metadata=self.metadata)]
        if self.violations:
            details.append(_bad_request(self.violations))
        if self.retry_after_s:
            delay = Duration()
            delay.FromMilliseconds(round(self.retry_after_s * 1_000))
            details.append(RetryInfo(retry_delay=delay))
        packed = [AnyMessage() for _ in details]
        for any_message, detail in zip(packed, details, strict=True):
            any_message.Pack(detail)
        return Status(code=self.code.value[0], message=self.message, details=packed)


def _bad_request(violations: tuple[Violation, ...]) -> BadRequest:
    """As many violations as the trailers hold; of the rest, the number."""
    message = BadRequest()
    for told, violation in enumerate(field_violations(violations)):
        if message.ByteSize() + violation.ByteSize() > MOST_DETAIL_BYTES:
            rest = f"and {len(violations) - told} more violations"
            message.field_violations.append(BadRequest.FieldViolation(description=rest))
            break
        message.field_violations.append(violation)
    return message


def refusal(error: TaktError) -> Refusal:
    """What a caller is told of an error."""
    message = str(error)
    match error:
        case InvalidRequestError():
            reused = isinstance(error, RequestIdReusedError)
            return Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                ErrorReason.ERROR_REASON_REQUEST_ID_REUSED if reused else ErrorReason.ERROR_REASON_INVALID_REQUEST,
                message
                if len(message) <= LONGEST_MESSAGE
                else f"{len(error.violations)} fields are wrong; see details",
                error.violations,
            )
        case OverloadedError():
            return Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                ErrorReason.ERROR_REASON_OVERLOADED,
                message,
                retry_after_s=error.retry_after_s,
            )
        case MessageTooLargeError():
            return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE, message)
        case DrainingError():
            return Refusal(grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_SHUTTING_DOWN, message)
        case StoreError():
            return Refusal(grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_STORE_UNAVAILABLE, message)
        case TokenRequiredError():
            return Refusal(grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_REQUIRED, message)
        case NotServedError():
            return Refusal(grpc.StatusCode.UNIMPLEMENTED, ErrorReason.ERROR_REASON_NOT_SERVED, message)
        case WorkspaceError():
            short = isinstance(error, WindowNotCoveredError)
            return Refusal(
                grpc.StatusCode.FAILED_PRECONDITION if short else grpc.StatusCode.INVALID_ARGUMENT,
                ErrorReason.ERROR_REASON_WINDOW_NOT_COVERED if short else ErrorReason.ERROR_REASON_CATALOG_INVALID,
                message
                if len(message) <= LONGEST_MESSAGE
                else f"{len(error.violations)} things are wrong; see details",
                error.violations,
            )
        case CatalogChangedError():
            return Refusal(grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_CATALOG_CHANGED, message)
        case CatalogNotFoundError():
            return Refusal(grpc.StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_CATALOG_NOT_FOUND, message)
        case NotFoundError():
            return Refusal(grpc.StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_PROFILE_NOT_FOUND, message)
        case PreconditionError():
            return Refusal(grpc.StatusCode.ABORTED, ErrorReason.ERROR_REASON_PROFILE_BUSY, message)
        case RecordError():
            return Refusal(grpc.StatusCode.DATA_LOSS, ErrorReason.ERROR_REASON_PROFILE_UNREADABLE, message)
        case DefectError():
            return Refusal(
                grpc.StatusCode.INTERNAL, ErrorReason.ERROR_REASON_DEFECT, message, metadata={"call": error.call}
            )
        case _:
            # an error that was never meant to reach a caller: say that it did, and not what it says
            return Refusal(
                grpc.StatusCode.INTERNAL,
                ErrorReason.ERROR_REASON_DEFECT,
                f"a defect in the service: {type(error).__name__}",
            )


async def abort(context: grpc.aio.ServicerContext[Any, Any], refused: Refusal) -> NoReturn:
    """End a call with a refusal."""
    await context.abort(
        refused.code, refused.message, trailing_metadata=((DETAILS_KEY, refused.status().SerializeToString()),)
    )
    raise AssertionError("abort does not return")
