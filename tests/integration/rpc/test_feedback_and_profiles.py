"""Feedback and profiles over real gRPC."""

from __future__ import annotations

from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from takt.v1 import decision_pb2, decision_pb2_grpc, feedback_pb2, feedback_pb2_grpc, profile_pb2, profile_pb2_grpc
from takt.v1.types_pb2 import FORM_OF_ADDRESS_INFORMAL, Identity, ProfileReference, StringList, Value
from tests.integration.rpc.asking import ask, refused

pytestmark = pytest.mark.timeout(300)  # the first test may wait for kernels to be compiled

Decisions = decision_pb2_grpc.DecisionServiceStub
Feedback = feedback_pb2_grpc.FeedbackServiceStub
Profiles = profile_pb2_grpc.ProfileServiceStub
Write = profile_pb2.ProfileWrite


def put(profiles: Profiles, *writes: profile_pb2.ProfileWrite) -> list[profile_pb2.ProfileWriteResult]:
    """Write, and give the results."""
    return list(profiles.Put(profile_pb2.ProfileServicePutRequest(profiles=writes)).results)


def get(profiles: Profiles, **reference: object) -> profile_pb2.Profile:
    """Read."""
    asked = ProfileReference(**reference)  # type: ignore[arg-type]  # one of two
    return profiles.Get(profile_pb2.ProfileServiceGetRequest(profile=asked)).profile


def test_a_profile_comes_back_as_written(profiles: Profiles) -> None:
    """Every kind of value is read as it was written, timestamps as timestamps."""
    name = uuid4().hex
    written = Write(
        profile_id=name,
        identities=[Identity(namespace="login", value=name)],
        features={
            "recency_days": Value(double_value=1.5),
            "visits_30d": Value(int_value=3),
            "subscriber": Value(bool_value=True),
            "segment": Value(string_value="budget"),
            "interests": Value(string_list_value=StringList(values=["garden", "toys"])),
            "lease_end": Value(timestamp_value=Timestamp(seconds=1_800_000_000)),
        },
        time_zone="Europe/Berlin",
        locale="en-GB",
        form_of_address=FORM_OF_ADDRESS_INFORMAL,
        consents=[
            profile_pb2.Consent(
                purpose="email.marketing", granted=True, given_at={"seconds": 1_700_000_000}, source="form"
            )
        ],
    )

    (result,) = put(profiles, written)
    read = get(profiles, identity=Identity(namespace="login", value=name))

    assert [] == list(result.violations)
    assert (name, False, "Europe/Berlin", "en-GB") == (read.profile_id, read.anonymous, read.time_zone, read.locale)
    assert dict(written.features) == dict(read.features)
    assert FORM_OF_ADDRESS_INFORMAL == read.form_of_address
    assert {"email.marketing": True, "web.personalisation": False} == {c.purpose: c.granted for c in read.consents}
    (dated,) = [consent for consent in read.consents if consent.HasField("given_at")]
    assert (1_700_000_000, "form") == (dated.given_at.seconds, dated.source)
    assert 0 < read.written_at.seconds


def test_a_wrong_profile_stops_no_other(profiles: Profiles) -> None:
    """Each write has its own outcome; what is wrong is named from the request's root."""
    good = uuid4().hex

    results = put(
        profiles,
        Write(profile_id="a b"),
        Write(profile_id=good, features={"visits_30d": Value(int_value=1)}),
        Write(profile_id="x", features={"lease_end": Value(int_value=1)}),
        Write(profile_id="x", features={"visits": Value(int_value=1)}),
    )

    rejected, created = profile_pb2.PROFILE_WRITE_OUTCOME_REJECTED, profile_pb2.PROFILE_WRITE_OUTCOME_CREATED
    assert [rejected, created, rejected, rejected] == [result.outcome for result in results]
    assert ["profiles[0].profile_id"] == [v.field for v in results[0].violations]
    assert ['profiles[2].features["lease_end"]'] == [v.field for v in results[2].violations]
    assert ['profiles[3].features["visits"]'] == [v.field for v in results[3].violations]
    assert good == get(profiles, profile_id=good).profile_id
    (again,) = put(profiles, Write(profile_id=good))
    assert profile_pb2.PROFILE_WRITE_OUTCOME_UPDATED == again.outcome


def test_profiles_that_are_not_there(profiles: Profiles) -> None:
    """Asking for nobody, or for nobody known, has its own reason."""
    assert ("NOT_FOUND", "PROFILE_NOT_FOUND", {}) == refused(lambda: get(profiles, profile_id="nobody"))
    assert ("INVALID_ARGUMENT", "INVALID_REQUEST", {"profile": "give the profile_id or the identity of a person"}) == (
        refused(lambda: get(profiles))
    )
    assert ("INVALID_ARGUMENT", "INVALID_REQUEST") == refused(lambda: put(profiles))[:2]


def test_feedback_has_one_outcome_per_event(decisions: Decisions, feedback: Feedback) -> None:
    """Applied once, a duplicate the second time, an orphan without a decision, rejected by field where it is wrong."""
    answer = decisions.Decide(ask("home_hero", "home_row"))
    person = answer.profile_id
    event = uuid4().hex
    events = [
        feedback_pb2.Event(event_id=event, type="dismiss", profile_id=person),
        feedback_pb2.Event(event_id=event, type="dismiss", profile_id=person),
        feedback_pb2.Event(event_id="", type="click", profile_id=person),
        feedback_pb2.Event(event_id="e-3", type="clack", profile_id=person),
    ]

    results = feedback.Record(feedback_pb2.RecordRequest(events=events)).results

    assert [e.event_id for e in events] == [r.event_id for r in results]
    names = [feedback_pb2.EventOutcome.Name(r.outcome).removeprefix("EVENT_OUTCOME_") for r in results]
    assert ["DUPLICATE", "REJECTED", "REJECTED"] == names[1:]
    assert names[0] in {"APPLIED", "ORPHAN"}
    assert ["events[2].event_id"] == [v.field for v in results[2].violations]
    assert ["events[3].type"] == [v.field for v in results[3].violations]
    assert "did you mean 'click'?" in results[3].violations[0].description


def test_number_of_events_is_bounded(feedback: Feedback) -> None:
    """No events, or too many, are refused as a whole."""
    event = feedback_pb2.Event(event_id="e", type="click", profile_id="p")

    assert ("INVALID_ARGUMENT", "INVALID_REQUEST", {"events": "0 given, from 1 to 1000 can be recorded at once"}) == (
        refused(lambda: feedback.Record(feedback_pb2.RecordRequest()))
    )
    assert ["events"] == list(refused(lambda: feedback.Record(feedback_pb2.RecordRequest(events=[event] * 1001)))[2])


def test_a_shown_offer_is_confirmed(decisions: Decisions, feedback: Feedback, profiles: Profiles) -> None:
    """An impression of an offer that was decided finds its contact by the decision alone."""
    person = uuid4().hex
    put(
        profiles,
        Write(profile_id=person, consents=[profile_pb2.Consent(purpose="web.personalisation", granted=True)]),
    )
    shown = None
    for _ in range(30):
        answer = decisions.Decide(ask("home_row", profile_id=person))
        if answer.placements[0].status == decision_pb2.PLACEMENT_STATUS_OFFERED:
            shown = answer
            break
    assert shown is not None, "silence thirty times"

    event = feedback_pb2.Event(
        event_id=uuid4().hex,
        type="impression",
        decision_id=shown.decision_id,
        offer=shown.placements[0].offers[0].offer,
        placement="home_row",
    )
    (result,) = feedback.Record(feedback_pb2.RecordRequest(events=[event])).results

    assert feedback_pb2.EVENT_OUTCOME_APPLIED == result.outcome


def test_linked_names_lead_to_one_profile(decisions: Decisions, profiles: Profiles) -> None:
    """Two profiles become one, over the contract: the answer names both, and either name reads the winner."""
    one, two = sorted(uuid4().hex for _ in range(2))
    login = Identity(namespace="login", value=two)
    consent = profile_pb2.Consent(purpose="web.personalisation", granted=True)
    put(profiles, Write(profile_id=one, consents=[consent]), Write(profile_id=two, identities=[login]))

    linked = profiles.Link(profile_pb2.ProfileServiceLinkRequest(profile_id=one, identities=[login]))

    assert (one, [two]) == (linked.profile_id, list(linked.absorbed_profile_ids))
    read = get(profiles, profile_id=two)
    assert (one, [two]) == (read.profile_id, list(read.absorbed_profile_ids))
    assert {False} == {consent.granted for consent in read.consents}
    assert one == decisions.Decide(ask("home_hero", profile_id=two)).profile_id


def test_wrong_links_name_their_fields(profiles: Profiles) -> None:
    """A link of nobody, and one with wrong names."""
    request = profile_pb2.ProfileServiceLinkRequest(profile_id="a b", identities=[Identity(namespace="n")])

    assert {"profile_id", "identities[0].value"} == set(refused(lambda: profiles.Link(request))[2])
    assert ["identities"] == list(refused(lambda: profiles.Link(profile_pb2.ProfileServiceLinkRequest()))[2])
