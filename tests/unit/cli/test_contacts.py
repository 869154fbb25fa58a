"""`takt contacts` against a service that answers what the test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from takt.cli.exits import Exit
from takt.v1 import contact_pb2
from tests.unit.cli.conftest import Service, refusal

Takt = Callable[..., Result]
NOON = Timestamp(seconds=1_769_860_800)
WHY = ("--actor", "anna", "--reason", "a test")
LINE = {"contact_id": "a", "profile_id": "p", "counted_at": "2026-01-31T12:00:00Z", "channel": "email"}


def found(_: contact_pb2.ContactServiceListRequest) -> contact_pb2.ContactServiceListResponse:
    """One late contact, a cap that is full, and a group that is suppressed for good."""
    contact = contact_pb2.Contact(
        counted_at=NOON, state=contact_pb2.CONTACT_STATE_LATE, offer="milk", channel="web", placement="hero"
    )
    cap = contact_pb2.CapState(
        cap="offer-week",
        scope=contact_pb2.CAP_SCOPE_OFFER,
        subject="milk",
        limit=1,
        counted=1,
        window_start=NOON,
        next_possible_at=NOON,
    )
    suppression = contact_pb2.Suppression(group="dairy", since=NOON)
    return contact_pb2.ContactServiceListResponse(
        profile_id="p", contacts=[contact], caps=[cap], as_of=NOON, suppressions=[suppression]
    )


def added(request: contact_pb2.ContactServiceBackfillRequest) -> contact_pb2.ContactServiceBackfillResponse:
    """Every contact is added, but those on the channel `pigeon`."""
    results = []
    for at, contact in enumerate(request.contacts):
        result = contact_pb2.BackfillResult(contact_id=contact.contact_id, outcome=contact_pb2.BACKFILL_OUTCOME_ADDED)
        if contact.channel == "pigeon":
            result.outcome = contact_pb2.BACKFILL_OUTCOME_REJECTED
            result.violations.add(field=f"contacts[{at}].channel", description="is not in the catalog")
        results.append(result)
    return contact_pb2.ContactServiceBackfillResponse(results=results)


def test_list_for_scripts(service: Service, takt: Takt) -> None:
    """What is asked is what was said; the answer is plain JSON without what says nothing."""
    service.answers = found
    where = ("--server", service.address, "--json")
    result = takt("contacts", "list", "--identity", "login=anna", "--since", "2026-01-31T12:00:00Z", *where)

    assert Exit.OK == result.exit_code
    plain = json.loads(result.output)
    assert [{"counted_at", "state", "channel", "placement", "offer"}] == [set(one) for one in plain["contacts"]]
    assert ("late", "offer", "2026-01-31T12:00:00Z") == (
        plain["contacts"][0]["state"],
        plain["caps"][0]["scope"],
        plain["caps"][0]["next_possible_at"],
    )
    assert [{"group": "dairy", "since": "2026-01-31T12:00:00Z"}] == plain["suppressions"]
    assert ("anna", NOON, False) == (
        service.asked[0].profile.identity.value,
        service.asked[0].since,
        service.asked[0].HasField("until"),
    )


def test_list_for_people(service: Service, takt: Takt) -> None:
    """Every part is there, in words; what is empty is said to be."""
    service.answers = found
    result = takt("contacts", "list", "p", "--server", service.address)
    assert all(word in result.output for word in ("late", "milk", "offer-week", "dairy", "next possible at"))

    service.answers = lambda _: contact_pb2.ContactServiceListResponse(profile_id="p")
    result = takt("contacts", "list", "p", "--server", service.address)
    assert all(f"no {what}" in result.output for what in ("contacts", "caps", "suppressions"))


def test_nobody_is_not_found(service: Service, takt: Takt) -> None:
    """A person who is not there ends the command with its own code."""
    service.refusal = refusal(code_pb2.NOT_FOUND, "there is no such profile", "PROFILE_NOT_FOUND")
    assert Exit.OK != takt("contacts", "list", "p", "--server", service.address).exit_code


def test_reset_says_who_and_why(service: Service, takt: Takt) -> None:
    """Filters, actor and reason arrive; the number that went is told."""
    service.answers = lambda _: contact_pb2.ContactServiceResetResponse(removed=3)
    where = ("--server", service.address)
    result = takt("contacts", "reset", "p", "--group", "dairy", "--before", "2026-01-31T12:00:00Z", *WHY, *where)

    assert (Exit.OK, "3 contacts no longer count\n") == (result.exit_code, result.output)
    (asked,) = service.asked
    assert ("p", "dairy", NOON, "anna", "a test") == (
        asked.profile.profile_id,
        asked.group,
        asked.before,
        asked.actor,
        asked.reason,
    )


@pytest.mark.parametrize("arguments", [(), ("--all", "--offer", "milk")])
def test_reset_of_all_has_to_be_meant(service: Service, takt: Takt, arguments: tuple[str, ...]) -> None:
    """A forgotten filter does not take everything."""
    result = takt("contacts", "reset", "p", *arguments, *WHY, "--server", service.address)
    assert (Exit.USAGE, []) == (result.exit_code, service.asked)


def test_backfill_names_wrong_lines(service: Service, takt: Takt) -> None:
    """Lines that are wrong, here or there, are named by line and field and do not stop the others."""
    service.answers = added
    wrong = {"contact_id": "x", "counted_at": "yesterday", "channel": "email", "offers": []}
    lines = [json.dumps(one) for one in (LINE, LINE | {"channel": "pigeon"}, wrong)]
    result = takt("contacts", "backfill", "-", *WHY, "--json", "--server", service.address, stdin="\n".join(lines))

    assert Exit.FAILED == result.exit_code
    plain = json.loads(result.output)
    assert {"added": 1, "rejected": 2} == plain["outcomes"]
    assert {(2, "channel"), (3, "offers"), (3, "profile_id"), (3, "counted_at")} == {
        (one["line"], one["field"]) for one in plain["wrong"]
    }
    (asked,) = service.asked
    assert (2, "anna", "a test") == (len(asked.contacts), asked.actor, asked.reason)
    assert ("p", NOON) == (asked.contacts[0].profile.profile_id, asked.contacts[0].counted_at)


@pytest.mark.parametrize("channel", ["email", "pigeon"])
def test_what_is_covered_is_stated_after_all_is_added(service: Service, takt: Takt, channel: str) -> None:
    """Since when contacts are known is said in the end, and only if nothing is missing."""
    service.answers = added
    given = ("contacts", "backfill", "-", *WHY, "--covered-since", "2026-01-31T12:00:00Z", "--server", service.address)

    result = takt(*given, stdin=json.dumps(LINE | {"channel": channel}))

    stated = [request for request in service.asked if request.HasField("covered_since")]
    if channel == "pigeon":
        assert (Exit.FAILED, []) == (result.exit_code, stated)
    else:
        (statement,) = stated
        assert (NOON, 0, "anna") == (statement.covered_since, len(statement.contacts), statement.actor)
        assert Exit.OK == result.exit_code


def compared(*findings: contact_pb2.AuditFinding, **summary: int) -> list[contact_pb2.ContactServiceAuditResponse]:
    """What an audit sends."""
    answers = [contact_pb2.ContactServiceAuditResponse(finding=finding) for finding in findings]
    end = contact_pb2.AuditSummary(profiles=3, contacts=9, log_since=NOON, **summary)
    return [*answers, contact_pb2.ContactServiceAuditResponse(summary=end)]


MISSING = contact_pb2.AuditFinding(
    kind=contact_pb2.AUDIT_FINDING_KIND_MISSING_IN_LEDGER,
    profile_id="p",
    contact=contact_pb2.Contact(offer="milk", counted_at=NOON, state=contact_pb2.CONTACT_STATE_HELD),
    message="milk is in the log and not in the ledger",
)
BELATED = contact_pb2.AuditFinding(kind=contact_pb2.AUDIT_FINDING_KIND_LATE, profile_id="q", message="was late")


def test_audit_tells_each_difference_and_ends_with_1(service: Service, takt: Takt) -> None:
    """A line each, in words or as JSON with the contact in fields, and what was compared at the end."""
    service.answers = lambda _: compared(MISSING, findings=1)
    where = ("--server", service.address)
    result = takt("contacts", "audit", "--partition", 3, "--since", "2026-01-31T12:00:00Z", *where)

    assert Exit.FAILED == result.exit_code
    assert [
        "missing_in_ledger: p: milk is in the log and not in the ledger",
        (
            "3 customers, 9 contacts and 0 totals compared; the log begins at 2026-01-31T12:00:00Z: "
            "differences 1, late confirmations 0"
        ),
    ] == result.stdout.splitlines()
    assert ([3], NOON, False) == (
        list(service.asked[0].partitions),
        service.asked[0].since,
        service.asked[0].HasField("profile"),
    )
    told, summary = [json.loads(line) for line in takt("contacts", "audit", "p", "--json", *where).stdout.splitlines()]
    assert ("missing_in_ledger", "milk", "held") == (told["kind"], told["contact"]["offer"], told["contact"]["state"])
    assert (3, 1) == (summary["profiles"], summary["findings"])
    assert "p" == service.asked[1].profile.profile_id


def test_late_confirmations_are_no_difference(service: Service, takt: Takt) -> None:
    """They are told, and the command ends with 0."""
    service.answers = lambda _: compared(BELATED, late=1)
    result = takt("contacts", "audit", "--server", service.address)

    assert (Exit.OK, "late: q: was late") == (result.exit_code, result.stdout.splitlines()[0])


def test_an_audit_without_its_end_has_failed(service: Service, takt: Takt) -> None:
    """What was found by then is told, and that it is not all."""
    service.answers = lambda _: compared(BELATED)[:1]
    result = takt("contacts", "audit", "--server", service.address)

    assert (Exit.FAILED, True, True) == (
        result.exit_code,
        "was late" in result.stdout,
        "not all" in result.stderr,
    )


def test_a_refused_audit_says_why(service: Service, takt: Takt) -> None:
    """As every other call."""
    service.refusal = refusal(code_pb2.NOT_FOUND, "there is no such profile", "PROFILE_NOT_FOUND")
    result = takt("contacts", "audit", "p", "--server", service.address)

    assert (Exit.FAILED, True) == (result.exit_code, "there is no such profile" in result.stderr)
