"""Contacts over real gRPC: listed, reset, taken in from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from takt.v1 import contact_pb2, contact_pb2_grpc, decision_pb2_grpc
from takt.v1.types_pb2 import Identity, ProfileReference
from tests.integration.rpc.asking import ask, refused
from tests.integration.rpc.process import Service

pytestmark = pytest.mark.timeout(300)  # the first test may wait for kernels to be compiled

Contacts = contact_pb2_grpc.ContactServiceStub
ASKED = {"actor": "anna", "reason": "a test went live"}


@pytest.fixture
def contacts(service: Service) -> Iterator[Contacts]:
    """Lists and changes contacts."""
    with service.admin as channel:
        yield Contacts(channel)


def listed(contacts: Contacts, profile_id: str, **given: Any) -> contact_pb2.ContactServiceListResponse:
    """One person's contacts and caps."""
    whom = ProfileReference(profile_id=profile_id)
    return contacts.List(contact_pb2.ContactServiceListRequest(profile=whom, **given))


def ago(seconds: int) -> Timestamp:
    """A moment in the past."""
    return Timestamp(seconds=int(time.time()) - seconds)


def outside(contact_id: str, profile_id: str, **given: Any) -> contact_pb2.BackfillContact:
    """An e-mail of an hour ago."""
    fields: dict[str, Any] = {"channel": "email", "counted_at": ago(3600)}
    whom = ProfileReference(profile_id=profile_id)
    return contact_pb2.BackfillContact(contact_id=contact_id, profile=whom, **(fields | given))


def backfilled(contacts: Contacts, *those: contact_pb2.BackfillContact) -> list[contact_pb2.BackfillResult]:
    """What became of contacts from outside."""
    return list(contacts.Backfill(contact_pb2.ContactServiceBackfillRequest(contacts=those, **ASKED)).results)


def test_what_was_offered_is_listed(
    contacts: Contacts, decisions: decision_pb2_grpc.DecisionServiceStub, ada: str
) -> None:
    """A decision's offers are the person's contacts, and count for the caps."""
    answers = [decisions.Decide(ask(profile_id=ada)) for _ in range(3)]
    shown = {(a.decision_id, offer.offer) for a in answers for p in a.placements for offer in p.offers}

    view = listed(contacts, ada)

    assert shown == {(contact.decision_id, contact.offer) for contact in view.contacts}
    assert {contact_pb2.CONTACT_STATE_HELD} == {contact.state for contact in view.contacts}
    week = next(cap for cap in view.caps if cap.cap == "person-week")
    assert (contact_pb2.CAP_SCOPE_PROFILE, 5, len(shown)) == (week.scope, week.limit, week.counted)
    assert (ada, True) == (view.profile_id, view.as_of.seconds > 0)


def test_contacts_from_outside_come_once_and_go_on_request(contacts: Contacts, ada: str) -> None:
    """Added, known again, listed within a span, and taken out again, each with a count of what happened."""
    outcomes = [result.outcome for result in backfilled(contacts, outside("a", ada), outside("b", ada, channel="web"))]
    assert [contact_pb2.BACKFILL_OUTCOME_ADDED] * 2 == outcomes
    assert [contact_pb2.BACKFILL_OUTCOME_DUPLICATE] == [r.outcome for r in backfilled(contacts, outside("a", ada))]
    assert {contact_pb2.CONTACT_STATE_BACKFILLED} == {contact.state for contact in listed(contacts, ada).contacts}
    assert 0 == len(listed(contacts, ada, since=ago(60)).contacts)

    whom = ProfileReference(profile_id=ada)
    request = contact_pb2.ContactServiceResetRequest(profile=whom, channel="email", **ASKED)
    assert [1, 0] == [contacts.Reset(request).removed for _ in range(2)]
    assert ["web"] == [contact.channel for contact in listed(contacts, ada).contacts]


def test_wrong_contact_is_named_and_stops_no_other(contacts: Contacts, ada: str) -> None:
    """Whatever is wrong is named from the request's root, here and by the engine."""
    nobody = contact_pb2.BackfillContact(contact_id="n")
    results = backfilled(contacts, nobody, outside("p", ada, channel="pigeon"), outside("c", ada))

    assert [["contacts[0].counted_at", "contacts[0].profile"], ["contacts[1].channel"], []] == [
        [violation.field for violation in result.violations] for result in results
    ]
    assert contact_pb2.BACKFILL_OUTCOME_ADDED == results[2].outcome


def test_wrong_requests_are_refused(contacts: Contacts, ada: str) -> None:
    """Every field that is wrong or not served is named at once."""
    bad = contact_pb2.ContactServiceListRequest(totals=["t"], since=ago(1), until=ago(2))
    code, reason, fields = refused(lambda: contacts.List(bad))
    assert ("INVALID_ARGUMENT", "INVALID_REQUEST", {"profile", "totals", "until"}) == (code, reason, set(fields))
    anonymous = contact_pb2.ContactServiceResetRequest(profile=ProfileReference(profile_id=ada))
    assert {"actor", "reason"} == set(refused(lambda: contacts.Reset(anonymous))[2])
    empty = contact_pb2.ContactServiceBackfillRequest(**ASKED)
    assert {"contacts"} == set(refused(lambda: contacts.Backfill(empty))[2])
    too_early = contact_pb2.ContactServiceBackfillRequest(covered_since=ago(36 * 86_400), **ASKED)
    assert {"covered_since"} == set(refused(lambda: contacts.Backfill(too_early))[2])


def test_people_who_are_not_there(contacts: Contacts) -> None:
    """Nobody is not found, by whatever name."""
    whom = ProfileReference(identity=Identity(namespace="login", value="nobody"))
    assert ("NOT_FOUND", "PROFILE_NOT_FOUND", {}) == refused(lambda: listed(contacts, "nobody"))
    request = contact_pb2.ContactServiceResetRequest(profile=whom, **ASKED)
    assert ("NOT_FOUND", "PROFILE_NOT_FOUND", {}) == refused(lambda: contacts.Reset(request))


def test_an_audit_ends_with_its_summary(
    contacts: Contacts, decisions: decision_pb2_grpc.DecisionServiceStub, ada: str
) -> None:
    """Of one person: nothing differs, and everything that was offered was compared."""
    answers = [decisions.Decide(ask(profile_id=ada)) for _ in range(3)]
    shown = sum(len(placement.offers) for answer in answers for placement in answer.placements)
    (end,) = contacts.Audit(contact_pb2.ContactServiceAuditRequest(profile=ProfileReference(profile_id=ada)))

    assert (1, shown, 0) == (end.summary.profiles, end.summary.contacts, end.summary.findings)
    assert 0 < end.summary.log_since.seconds <= time.time()


def test_audits_of_what_is_not_there_are_refused(contacts: Contacts, ada: str) -> None:
    """By status, reason and field, as every call."""

    def refusal_of(**given: Any) -> tuple[str, str, dict[str, str]]:
        return refused(lambda: list(contacts.Audit(contact_pb2.ContactServiceAuditRequest(**given))))

    whom, nobody = (ProfileReference(profile_id=name) for name in (ada, "nobody"))
    code, reason, fields = refusal_of(profile=whom, partitions=[0], since=ago(1), until=ago(2))
    assert ("INVALID_ARGUMENT", "INVALID_REQUEST", {"partitions", "until"}) == (code, reason, set(fields))
    assert {"partitions"} == set(refusal_of(partitions=[1_000_000])[2])
    assert {"profile"} == set(refusal_of(profile=ProfileReference())[2])
    assert ("NOT_FOUND", "PROFILE_NOT_FOUND", {}) == refusal_of(profile=nobody)
