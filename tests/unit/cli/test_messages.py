"""Questions, profiles and events, from what people write."""

from __future__ import annotations

from typing import Any

import pytest

from takt.cli.messages import Question, event, json_line, profile_plain, profile_write
from takt.errors import InvalidRequestError
from takt.v1 import decision_pb2, profile_pb2, types_pb2


def test_question_becomes_the_request() -> None:
    """Every field of a question stands in the request."""
    request = Question(
        request_id="r-1",
        identities=("login=anna=b", "device=d1"),
        placements=("home_hero", "home_tiles:2"),
        context={"page": "home", "basket": 3},
        timings=("now",),
        dry_run=True,
        explain="full",
        allow_duplicates=True,
        budget="80ms",
    ).message()
    assert "r-1" == request.request_id
    assert [("login", "anna=b"), ("device", "d1")] == [(i.namespace, i.value) for i in request.identities]
    assert [("home_hero", 0), ("home_tiles", 2)] == [(p.placement, p.max_offers) for p in request.placements]
    assert "home" == request.context["page"].string_value
    assert 3 == request.context["basket"].int_value
    assert ["now"] == list(request.timings)
    assert request.dry_run
    assert request.allow_duplicates
    assert decision_pb2.EXPLAIN_LEVEL_FULL == request.explain
    assert 80_000_000 == request.budget.nanos


def test_question_without_a_budget_leaves_it_to_the_service() -> None:
    """What is not given is absent, not zero."""
    assert not Question(placements=("a",), profile_id="p").message().HasField("budget")


def test_questions_have_ids_of_their_own() -> None:
    """Two questions are two occasions, unless the id says otherwise."""
    assert Question(placements=("a",)).request_id != Question(placements=("a",)).request_id


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (Question(placements=("hero:two",)), "placements[0]"),
        (Question(placements=("a",), identities=("anna",)), "identities[0]"),
        (Question(placements=("a",), budget="soon"), "budget"),
    ],
)
def test_malformed_questions_are_refused(question: Question, field: str) -> None:
    """What cannot be written as a request is named before anything is sent."""
    with pytest.raises(InvalidRequestError) as caught:
        question.message()
    assert field == caught.value.violations[0].field


FULL_PROFILE: dict[str, Any] = {
    "profile_id": "c-17",
    "identities": [{"namespace": "login", "value": "anna"}],
    "features": {"interests": ["garden"], "lease_end": "2026-01-31T12:00:00Z", "segment": "premium", "visits_30d": 3},
    "time_zone": "Europe/Berlin",
    "locale": "de-DE",
    "form_of_address": "formal",
    "consents": {
        "web.personalisation": True,
        "email.marketing": {"granted": False, "given_at": "2026-01-31T12:00:00Z", "source": "phone"},
    },
}


def test_profile_is_read_and_written_again() -> None:
    """What `get` prints is what `put` takes."""
    write = profile_write(FULL_PROFILE)
    assert types_pb2.FORM_OF_ADDRESS_FORMAL == write.form_of_address
    kept = profile_pb2.Profile(
        profile_id=write.profile_id,
        identities=write.identities,
        features=write.features,
        time_zone=write.time_zone,
        locale=write.locale,
        form_of_address=write.form_of_address,
        consents=write.consents,
        feature_fingerprint="ab",
    )
    shown = profile_plain(kept)
    assert {**FULL_PROFILE, "anonymous": False, "feature_fingerprint": "ab"} == shown
    assert write == profile_write(shown)


def test_identities_may_be_written_short() -> None:
    """One object of namespaces and names does as well as a list."""
    write = profile_write({"identities": {"login": "anna", "crm": "7"}})
    assert [("login", "anna"), ("crm", "7")] == [(i.namespace, i.value) for i in write.identities]


def test_everything_wrong_with_a_profile_is_named() -> None:
    """One reading finds all errors, with what would be right."""
    with pytest.raises(InvalidRequestError) as caught:
        profile_write(
            {
                "profil_id": "x",
                "features": {"a": {"b": 1}, "c": [1]},
                "form_of_address": "formel",
                "consents": {"web": "yes", "mail": {"given_at": "soon", "by": "x"}},
                "identities": [7],
                "locale": 3,
            }
        )
    found = {violation.field: violation.message for violation in caught.value.violations}
    assert "did you mean 'profile_id'?" in found["profil_id"]
    assert {
        'features["a"]',
        'features["c"]',
        'consents["web"]',
        'consents["mail"].given_at',
        'consents["mail"].granted',
        'consents["mail"].by',
        "identities[0]",
        "locale",
        "profile_id",
    } < set(found)
    assert "did you mean 'formal'?" in found["form_of_address"]


def test_event_is_read() -> None:
    """Every field of an event stands in the message."""
    made = event(
        {
            "event_id": "e-1",
            "type": "purchase",
            "decision_id": "d",
            "identity": {"login": "anna"},
            "offer": "milk",
            "placement": "home_hero",
            "channel": "web",
            "occurred_at": "2026-01-31T12:00:00Z",
            "attributes": {"basket": 3.5},
            "value": 12,
        }
    )
    assert ("e-1", "purchase", "d", "milk") == (made.event_id, made.type, made.decision_id, made.offer)
    assert ("login", "anna") == (made.identity.namespace, made.identity.value)
    assert 12 == made.value
    assert 3.5 == made.attributes["basket"].double_value
    assert made.occurred_at.seconds > 0


def test_event_without_value_has_none() -> None:
    """An amount that is not known is absent, not zero."""
    made = event({"type": "click", "decision_id": "d"})
    assert not made.HasField("value")
    assert made.event_id


def test_everything_wrong_with_an_event_is_named() -> None:
    """One reading finds all errors."""
    with pytest.raises(InvalidRequestError) as caught:
        event({"occurred_at": "yesterday", "value": "3", "when": 1})
    assert ["when", "value", "occurred_at", "type", "decision_id"] == [v.field for v in caught.value.violations]


@pytest.mark.parametrize(("text", "message"), [("{", "is no JSON"), ("[1]", "is list")])
def test_a_line_is_one_object(text: str, message: str) -> None:
    """What is no JSON object is refused with what would be right."""
    with pytest.raises(InvalidRequestError, match=message):
        json_line(text)
