"""Messages of `takt.v1.ContactService` to values, and what is known of contacts to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from takt.clock import SECOND_US
from takt.domain.audit import AuditSummary, Finding, FindingKind
from takt.domain.contact import (
    BackfillOutcome,
    BackfillResult,
    CapState,
    ContactState,
    ContactView,
    KnownContact,
    KnownSuppression,
    OutsideContact,
    Person,
    Reset,
    ResetResult,
)
from takt.errors import Violation
from takt.v1 import contact_pb2, types_pb2
from takt.wire.values import LAST_SECOND, LONGEST_ID, LONGEST_PROFILE_ID, identity, length, time_us, timestamp
from takt.wire.violations import field_violations

LONGEST_REASON: Final = 1024
STATE: Final[Mapping[ContactState, Any]] = {
    ContactState.HELD: contact_pb2.CONTACT_STATE_HELD,
    ContactState.CONFIRMED: contact_pb2.CONTACT_STATE_CONFIRMED,
    ContactState.LATE: contact_pb2.CONTACT_STATE_LATE,
    ContactState.RELEASED: contact_pb2.CONTACT_STATE_RELEASED,
    ContactState.EXPIRED: contact_pb2.CONTACT_STATE_EXPIRED,
    ContactState.BACKFILLED: contact_pb2.CONTACT_STATE_BACKFILLED,
}
OUTCOME: Final[Mapping[BackfillOutcome, Any]] = {
    BackfillOutcome.ADDED: contact_pb2.BACKFILL_OUTCOME_ADDED,
    BackfillOutcome.DUPLICATE: contact_pb2.BACKFILL_OUTCOME_DUPLICATE,
    BackfillOutcome.TOO_OLD: contact_pb2.BACKFILL_OUTCOME_TOO_OLD,
    BackfillOutcome.REJECTED: contact_pb2.BACKFILL_OUTCOME_REJECTED,
    BackfillOutcome.UNAVAILABLE: contact_pb2.BACKFILL_OUTCOME_UNAVAILABLE,
}
FINDING: Final[Mapping[FindingKind, Any]] = {
    FindingKind.MISSING_IN_LEDGER: contact_pb2.AUDIT_FINDING_KIND_MISSING_IN_LEDGER,
    FindingKind.MISSING_IN_LOG: contact_pb2.AUDIT_FINDING_KIND_MISSING_IN_LOG,
    FindingKind.DIFFERENT: contact_pb2.AUDIT_FINDING_KIND_DIFFERENT,
    FindingKind.TOTAL_MISMATCH: contact_pb2.AUDIT_FINDING_KIND_TOTAL_MISMATCH,
    FindingKind.LATE: contact_pb2.AUDIT_FINDING_KIND_LATE,
}


def person(message: types_pb2.ProfileReference, path: str, found: list[Violation]) -> Person:
    """Whom a reference names."""
    match message.WhichOneof("reference"):
        case "profile_id":
            return Person(length(message.profile_id, f"{path}.profile_id", found, least=1, most=LONGEST_PROFILE_ID))
        case "identity":
            return Person(identity=identity(message.identity, f"{path}.identity", found))
        case _:
            found.append(Violation(path, "give the profile_id or an identity of a person"))
            return Person()


def span(message: Any, begin: str, end: str, found: list[Violation]) -> tuple[int | None, int | None]:
    """The moments in two fields of a message, None where there is none; the second comes after the first."""
    since_us, until_us = (
        time_us(getattr(message, name), name, found) if message.HasField(name) else None for name in (begin, end)
    )
    if since_us is not None and until_us is not None and until_us <= since_us:
        found.append(Violation(end, f"must come after {begin}"))
    return since_us, until_us


def accountable(message: Any, found: list[Violation]) -> tuple[str, str]:
    """Who asks, and why."""
    return (
        length(message.actor, "actor", found, least=1, most=LONGEST_ID),
        length(message.reason, "reason", found, least=1, most=LONGEST_REASON),
    )


def reset(message: contact_pb2.ContactServiceResetRequest, found: list[Violation]) -> Reset:
    """A reset as a value; what is wrong with it is added to `found`."""
    since_us, before_us = span(message, "since", "before", found)
    actor, reason = accountable(message, found)
    return Reset(
        person=person(message.profile, "profile", found),
        actor=actor,
        reason=reason,
        channel=length(message.channel, "channel", found),
        offer=length(message.offer, "offer", found),
        group=length(message.group, "group", found),
        since_us=since_us,
        before_us=before_us,
    )


def outside_contact(message: contact_pb2.BackfillContact, path: str) -> OutsideContact | BackfillResult:
    """A contact from outside as a value, or its rejection with everything that is wrong with it."""
    found: list[Violation] = []
    if not message.HasField("counted_at"):
        found.append(Violation(f"{path}.counted_at", "is needed: say when the contact was made"))
    contact = OutsideContact(
        contact_id=length(message.contact_id, f"{path}.contact_id", found, least=1, most=LONGEST_ID),
        person=person(message.profile, f"{path}.profile", found),
        counted_us=time_us(message.counted_at, f"{path}.counted_at", found),
        channel=length(message.channel, f"{path}.channel", found),
        offer=length(message.offer, f"{path}.offer", found),
        placement=length(message.placement, f"{path}.placement", found),
    )
    if found:
        return BackfillResult(message.contact_id[:LONGEST_ID], BackfillOutcome.REJECTED, tuple(found))
    return contact


def view(known: ContactView) -> contact_pb2.ContactServiceListResponse:
    """A person's contacts and caps as a message."""
    return contact_pb2.ContactServiceListResponse(
        profile_id=known.profile_id,
        contacts=[_contact(contact) for contact in known.contacts],
        caps=[_cap(cap) for cap in known.caps],
        as_of=timestamp(known.as_of_us),
        suppressions=[_suppression(suppression) for suppression in known.suppressions],
    )


def reset_response(result: ResetResult) -> contact_pb2.ContactServiceResetResponse:
    """What a reset did, as a message."""
    return contact_pb2.ContactServiceResetResponse(removed=result.removed, reset_at=timestamp(result.reset_us))


def backfill_result(result: BackfillResult) -> contact_pb2.BackfillResult:
    """What became of a contact from outside, as a message."""
    return contact_pb2.BackfillResult(
        contact_id=result.contact_id,
        outcome=OUTCOME[result.outcome],
        violations=field_violations(result.violations),
    )


def audit_finding(finding: Finding) -> contact_pb2.ContactServiceAuditResponse:
    """A difference as a message of an audit."""
    return contact_pb2.ContactServiceAuditResponse(
        finding=contact_pb2.AuditFinding(
            kind=FINDING[finding.kind],
            profile_id=finding.profile_id,
            contact=None if finding.contact is None else _contact(finding.contact),
            cap=finding.cap,
            counted=finding.counted,
            logged=finding.logged,
            message=finding.message,
        )
    )


def audit_summary(summary: AuditSummary) -> contact_pb2.ContactServiceAuditResponse:
    """The end of an audit as a message."""
    return contact_pb2.ContactServiceAuditResponse(
        summary=contact_pb2.AuditSummary(
            profiles=summary.profiles,
            contacts=summary.contacts,
            totals=summary.totals,
            findings=summary.findings,
            late=summary.late,
            log_since=_if_any(summary.log_since_us),
        )
    )


def _contact(contact: KnownContact) -> contact_pb2.Contact:
    return contact_pb2.Contact(
        counted_at=timestamp(contact.counted_us),
        state=STATE[contact.state],
        offer=contact.offer,
        group=contact.group,
        channel=contact.channel,
        placement=contact.placement,
        decision_id=contact.decision_id,
        hold_expires_at=_if_any(contact.hold_expires_us),
    )


def _suppression(suppression: KnownSuppression) -> contact_pb2.Suppression:
    return contact_pb2.Suppression(
        offer=suppression.offer,
        group=suppression.group,
        since=timestamp(suppression.since_us),
        until=_if_any(suppression.until_us),
    )


def _cap(cap: CapState) -> contact_pb2.CapState:
    return contact_pb2.CapState(
        cap=cap.cap,
        scope=f"CAP_SCOPE_{cap.scope}",
        subject=cap.subject,
        limit=cap.limit,
        counted=cap.counted,
        held=cap.held,
        window_start=timestamp(cap.start_us),
        window_end=_if_any(cap.end_us),
        next_possible_at=_if_any(cap.next_us),
    )


def _if_any(at_us: int) -> Timestamp | None:
    """A moment; none for 0, and the last there is for what never comes."""
    return timestamp(min(at_us, LAST_SECOND * SECOND_US)) if at_us else None
