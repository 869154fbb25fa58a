"""A client of a running service: one call per method, errors as Takt's own, messages as the contract has them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from msgspec import Struct

from takt.cli.exits import CallRefusedError, UnreachableError
from takt.cli.messages import Question, Taken, contact_taken, event_taken, profile_taken, whom
from takt.errors import NotFoundError, TaktError, Violation
from takt.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    contact_pb2,
    contact_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    feedback_pb2,
    feedback_pb2_grpc,
    profile_pb2,
    profile_pb2_grpc,
    types_pb2,
)

MOST = 4 * 1024 * 1024
"""Bytes of the largest message that the service takes."""

MOST_IN_FLIGHT = 512
"""Questions of a stream that wait for their answers: a service sheds what is beyond its own bound."""

UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Door(Struct, frozen=True, kw_only=True):
    """Where a service listens, and what it takes to be let in."""

    address: str
    """`HOST:PORT` or `unix:PATH`."""
    timeout_s: float = 10.0
    """For one call, connecting included."""
    tls: bool = False
    """TLS with the system's authorities; implied by the next two."""
    tls_ca: Path | None = None
    """PEM file of the authority that signed the service's certificate."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """The client's own certificate and key, where the service asks for one."""
    token_file: Path | None = None
    """File with the bearer token of the administrative address."""

    def open(self) -> grpc.Channel:
        """A channel; it connects with the first call. Raises `OSError` for a file that cannot be read."""
        options = [("grpc.max_receive_message_length", 64 * 1024 * 1024), ("grpc.enable_retries", 0)]
        if not (self.tls or self.tls_ca or self.tls_cert):
            return grpc.insecure_channel(self.address, options)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self.tls_ca.read_bytes() if self.tls_ca else None,
            private_key=self.tls_key.read_bytes() if self.tls_key else None,
            certificate_chain=self.tls_cert.read_bytes() if self.tls_cert else None,
        )
        return grpc.secure_channel(self.address, credentials, options)

    def metadata(self) -> list[tuple[str, str]]:
        """Headers of every call."""
        if self.token_file is None:
            return []
        return [("authorization", f"Bearer {self.token_file.read_text(encoding='utf-8').strip()}")]


class Client:
    """One address of a service. Safe to share between threads.

    Every call raises `UnreachableError` when nobody answers (in time), and `CallRefusedError` with every violation when
    the service refuses.
    """

    def __init__(self, door: Door) -> None:
        """Open the channel; nothing is sent yet."""
        self._door = door
        self._channel = door.open()
        self._metadata = door.metadata()
        self._decisions = decision_pb2_grpc.DecisionServiceStub(self._channel)
        self._feedback = feedback_pb2_grpc.FeedbackServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # its types know no Watch
        self._profiles = profile_pb2_grpc.ProfileServiceStub(self._channel)
        self._contacts = contact_pb2_grpc.ContactServiceStub(self._channel)
        self._catalogs = catalog_pb2_grpc.CatalogServiceStub(self._channel)

    def __enter__(self) -> Self:
        """Use it as `with Client(door) as client:`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channel."""
        self.close()

    def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._channel.close()

    def await_ready(self, timeout_s: float) -> None:
        """Return once the service says that it is serving; `UnreachableError` if it does not within `timeout_s`."""
        watched = self._health.Watch(
            health_pb2.HealthCheckRequest(), timeout=timeout_s, metadata=self._metadata, wait_for_ready=True
        )
        try:
            if any(health.status == health_pb2.HealthCheckResponse.SERVING for health in watched):
                return
        except grpc.RpcError as error:
            if error.code() not in UNREACHABLE:
                raise told(error, self._door.address) from None
        finally:
            watched.cancel()
        raise UnreachableError(f"{self._door.address} is not serving (waited {timeout_s:g} s)")

    def decide(self, question: Question) -> decision_pb2.DecideResponse:
        """Ask what to say to a person."""
        answer: decision_pb2.DecideResponse = self._call(self._decisions.Decide, question.message())
        return answer

    def decide_many(self, questions: Sequence[Question]) -> Iterator[decision_pb2.DecideResponse]:
        """Ask for many in one stream, in which a bounded number waits; answers come in any order, by `request_id`.

        A question that is refused ends it with `CallRefusedError`.
        """
        room = threading.Semaphore(MOST_IN_FLIGHT)
        ended = threading.Event()

        def sent() -> Iterator[decision_pb2.DecideStreamRequest]:
            for question in questions:
                room.acquire()
                if ended.is_set():
                    return
                yield decision_pb2.DecideStreamRequest(request=question.message())

        stream = self._decisions.DecideStream(sent(), timeout=self._door.timeout_s, metadata=self._metadata)
        try:
            for reply in stream:
                room.release()
                if reply.HasField("error"):
                    raise CallRefusedError(f"{reply.request_id}: {reply.error.message}")
                yield reply.response
        except grpc.RpcError as error:
            raise told(error, self._door.address) from None
        finally:
            ended.set()
            room.release()
            stream.cancel()

    def record(self, events: Sequence[feedback_pb2.Event]) -> list[Taken]:
        """Record up to 1,000 events; one result each, in their order."""
        request = feedback_pb2.RecordRequest(events=events)
        return [event_taken(result) for result in self._call(self._feedback.Record, request).results]

    def put(self, writes: Sequence[profile_pb2.ProfileWrite]) -> list[Taken]:
        """Write up to 1,000 profiles; one result each, in their order."""
        request = profile_pb2.ProfileServicePutRequest(profiles=writes)
        return [profile_taken(result) for result in self._call(self._profiles.Put, request).results]

    def get(self, profile_id: str = "", *, identity: types_pb2.Identity | None = None) -> profile_pb2.Profile:
        """Read one profile, by its id or by an identity. Raises `NotFoundError` where there is none."""
        named = whom(profile_id, identity)
        found: profile_pb2.ProfileServiceGetResponse = self._call(
            self._profiles.Get, profile_pb2.ProfileServiceGetRequest(profile=named)
        )
        return found.profile

    def contacts(self, request: contact_pb2.ContactServiceListRequest) -> contact_pb2.ContactServiceListResponse:
        """A person's contacts and caps. Raises `NotFoundError` where there is nobody."""
        found: contact_pb2.ContactServiceListResponse = self._call(self._contacts.List, request)
        return found

    def reset(self, request: contact_pb2.ContactServiceResetRequest) -> int:
        """Take contacts of a person out of what is counted; how many. Raises `NotFoundError` where there is nobody."""
        return int(self._call(self._contacts.Reset, request).removed)

    def cover(self, since: Timestamp, *, actor: str, reason: str) -> None:
        """State that all contacts since a moment are known."""
        request = contact_pb2.ContactServiceBackfillRequest(covered_since=since, actor=actor, reason=reason)
        self._call(self._contacts.Backfill, request)

    def backfill(self, contacts: Sequence[contact_pb2.BackfillContact], *, actor: str, reason: str) -> list[Taken]:
        """Add up to 1,000 contacts of another system; one result each, in their order."""
        request = contact_pb2.ContactServiceBackfillRequest(contacts=contacts, actor=actor, reason=reason)
        return [contact_taken(result) for result in self._call(self._contacts.Backfill, request).results]

    def audit(
        self, request: contact_pb2.ContactServiceAuditRequest
    ) -> Iterator[contact_pb2.ContactServiceAuditResponse]:
        """Differences between ledgers and log, then a summary. Takes as long as it takes.

        Raises `NotFoundError` where a person is asked for and there is nobody.
        """
        try:
            yield from self._contacts.Audit(request, metadata=self._metadata)
        except grpc.RpcError as error:
            raise told(error, self._door.address) from None

    def link(self, profile_id: str, identities: Sequence[types_pb2.Identity]) -> profile_pb2.ProfileServiceLinkResponse:
        """State that names are one person's; the profiles that they led to are merged."""
        request = profile_pb2.ProfileServiceLinkRequest(profile_id=profile_id, identities=identities)
        linked: profile_pb2.ProfileServiceLinkResponse = self._call(self._profiles.Link, request)
        return linked

    def validate(self, files: Sequence[catalog_pb2.CatalogFile]) -> catalog_pb2.CatalogServiceValidateResponse:
        """Check a catalog; what is wrong with it is an answer."""
        request = catalog_pb2.CatalogServiceValidateRequest(files=files)
        found: catalog_pb2.CatalogServiceValidateResponse = self._call(self._catalogs.Validate, request)
        return found

    def apply(
        self, files: Sequence[catalog_pb2.CatalogFile], *, actor: str, reason: str, expected: str = ""
    ) -> catalog_pb2.CatalogServiceApplyResponse:
        """Put a catalog in force; with `expected`, only in place of that version."""
        request = catalog_pb2.CatalogServiceApplyRequest(
            files=files, expected_version=expected, actor=actor, reason=reason
        )
        done: catalog_pb2.CatalogServiceApplyResponse = self._call(self._catalogs.Apply, request)
        return done

    def catalog(self, version: str = "", *, include_files: bool = False) -> catalog_pb2.CatalogServiceGetResponse:
        """Read the catalog in force, or an earlier one. Raises `NotFoundError` where there is none."""
        request = catalog_pb2.CatalogServiceGetRequest(version=version, include_files=include_files)
        found: catalog_pb2.CatalogServiceGetResponse = self._call(self._catalogs.Get, request)
        return found

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._door.timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise told(error, self._door.address) from None


def told(error: grpc.RpcError, address: str) -> TaktError:
    """The error of a call as one of Takt's: nobody there, nothing found, or refused with all that is known."""
    code = error.code()
    details = error.details() or code.name
    reason, violations = _details(error)
    if code in UNREACHABLE and not reason:
        if details.startswith("failed to connect"):
            details = details.rpartition(": ")[2].lower()  # the rest is gRPC's inner life
        hint = "is the service running there? (takt serve, takt demo)" if code == grpc.StatusCode.UNAVAILABLE else ""
        return UnreachableError("; ".join(filter(None, [f"no answer from {address}: {details}", hint])))
    if code == grpc.StatusCode.NOT_FOUND:
        return NotFoundError(details)
    if code == grpc.StatusCode.UNAVAILABLE:
        return UnreachableError(f"{reason}: {details}")
    if violations:
        return CallRefusedError(f"{reason or code.name}:", reason=reason, violations=violations)
    return CallRefusedError(f"{reason or code.name}: {details}", reason=reason)


def _details(error: grpc.RpcError) -> tuple[str, tuple[Violation, ...]]:
    """The reason and the violations in the rich details of an error; empty where there are none."""
    status = rpc_status.from_call(cast(grpc.Call, error))  # a failed call is its own error
    reason, violations = "", []
    for packed in status.details if status is not None else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if packed.Unpack(info):
            reason = info.reason
        elif packed.Unpack(bad):
            violations = [Violation(v.field, v.description) for v in bad.field_violations]
    return reason, tuple(violations)
