"""Every error has one status, with details that a caller's code can read."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from takt.errors import (
    CatalogChangedError,
    CatalogNotFoundError,
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
    RecordError,
    RequestIdReusedError,
    StoreError,
    StoreMarkerError,
    TaktError,
    Violation,
    WindowNotCoveredError,
    WorkspaceError,
)
from takt.rpc.errors import (
    DOMAIN,
    DefectError,
    DrainingError,
    MessageTooLargeError,
    NotServedError,
    OverloadedError,
    TokenRequiredError,
    refusal,
)
from takt.settings import SettingsError


def details(status: Status) -> dict[str, object]:
    """The details of a status, by the name of their message."""
    found: dict[str, object] = {}
    for packed in status.details:
        for kind in (ErrorInfo, BadRequest, RetryInfo):
            message = kind()
            if packed.Unpack(message):
                found[kind.__name__] = message
    return found


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InvalidRequestError((Violation("a", "b"),)), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (RequestIdReusedError("r"), "INVALID_ARGUMENT", "REQUEST_ID_REUSED"),
        (OverloadedError(0.1), "RESOURCE_EXHAUSTED", "OVERLOADED"),
        (MessageTooLargeError(5, 4), "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"),
        (DrainingError(), "UNAVAILABLE", "SHUTTING_DOWN"),
        (StoreError("no answer"), "UNAVAILABLE", "STORE_UNAVAILABLE"),
        (StoreMarkerError("lost"), "UNAVAILABLE", "STORE_UNAVAILABLE"),
        (TokenRequiredError(), "UNAUTHENTICATED", "TOKEN_REQUIRED"),
        (NotServedError("X.Y"), "UNIMPLEMENTED", "NOT_SERVED"),
        (NotFoundError("no"), "NOT_FOUND", "PROFILE_NOT_FOUND"),
        (PreconditionError("busy"), "ABORTED", "PROFILE_BUSY"),
        (RecordError("damaged"), "DATA_LOSS", "PROFILE_UNREADABLE"),
        (DefectError(), "INTERNAL", "DEFECT"),
        (WorkspaceError((Violation("catalog.yaml:3: caps[0].limit", "?"),)), "INVALID_ARGUMENT", "CATALOG_INVALID"),
        (WindowNotCoveredError((Violation("a", "b"),)), "FAILED_PRECONDITION", "WINDOW_NOT_COVERED"),
        (CatalogChangedError("other"), "FAILED_PRECONDITION", "CATALOG_CHANGED"),
        (CatalogNotFoundError("none"), "NOT_FOUND", "CATALOG_NOT_FOUND"),
        (SettingsError(()), "INTERNAL", "DEFECT"),
        (TaktError("?"), "INTERNAL", "DEFECT"),
    ],
)
def test_each_error_has_its_status(error: TaktError, code: str, reason: str) -> None:
    """Status code, reason and domain are the contract's, and the status agrees with itself."""
    refused = refusal(error)
    info = details(refused.status())["ErrorInfo"]

    assert isinstance(info, ErrorInfo)
    assert (code, reason, DOMAIN) == (refused.code.name, info.reason, info.domain)
    assert getattr(grpc.StatusCode, code).value[0] == refused.status().code


def test_all_violations_are_sent() -> None:
    """A wrong request comes back with one violation per field."""
    error = InvalidRequestError((Violation("placements[0].placement", "is unknown"), Violation("timings[1]", "too")))

    bad = details(refusal(error).status())["BadRequest"]

    assert isinstance(bad, BadRequest)
    assert [("placements[0].placement", "is unknown"), ("timings[1]", "too")] == [
        (v.field, v.description) for v in bad.field_violations
    ]


def test_details_fit_into_trailers() -> None:
    """However much is wrong, the trailers stay below what clients take; the rest is counted."""
    error = InvalidRequestError(tuple(Violation(f"placements[{n}].placement", "x" * 100) for n in range(500)))

    refused = refusal(error)
    bad = details(refused.status())["BadRequest"]

    assert isinstance(bad, BadRequest)
    assert 6_000 > len(refused.status().SerializeToString())
    told = len(bad.field_violations) - 1
    assert f"and {500 - told} more violations" == bad.field_violations[-1].description
    assert "500 fields are wrong; see details" == refused.message


def test_overload_says_when_to_come_back() -> None:
    """The delay is in RetryInfo, where clients look for it."""
    retry = details(refusal(OverloadedError(0.25)).status())["RetryInfo"]

    assert isinstance(retry, RetryInfo)
    assert 250 == retry.retry_delay.ToMilliseconds()


def test_a_defect_names_its_log_line_and_nothing_else() -> None:
    """The answer carries the id of the call; an error that was not meant for callers is not quoted."""
    defect = DefectError()
    info = details(refusal(defect).status())["ErrorInfo"]

    assert isinstance(info, ErrorInfo)
    assert {"call": defect.call} == dict(info.metadata)
    assert "secret" not in refusal(TaktError("secret")).message
