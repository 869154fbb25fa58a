"""`takt record` and `takt profile` against a service that answers what the test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from google.rpc import code_pb2

from takt.cli.exits import Exit
from takt.cli.messages import profile_write
from takt.v1 import feedback_pb2, profile_pb2
from tests.unit.cli.conftest import Service, refusal

Takt = Callable[..., Result]


def applied(request: feedback_pb2.RecordRequest) -> feedback_pb2.RecordResponse:
    """Every event is applied, but those of the type `wrong`."""

    def result(at: int, event: feedback_pb2.Event) -> feedback_pb2.EventResult:
        if event.type != "wrong":
            return feedback_pb2.EventResult(event_id=event.event_id, outcome=feedback_pb2.EVENT_OUTCOME_APPLIED)
        rejected = feedback_pb2.EventResult(event_id=event.event_id, outcome=feedback_pb2.EVENT_OUTCOME_REJECTED)
        rejected.violations.add(field=f"events[{at}].type", description="is not declared")
        return rejected

    return feedback_pb2.RecordResponse(results=[result(at, event) for at, event in enumerate(request.events)])


def created(request: profile_pb2.ProfileServicePutRequest) -> profile_pb2.ProfileServicePutResponse:
    """Every profile is new."""
    outcome = profile_pb2.PROFILE_WRITE_OUTCOME_CREATED
    results = [profile_pb2.ProfileWriteResult(profile_id=w.profile_id, outcome=outcome) for w in request.profiles]
    return profile_pb2.ProfileServicePutResponse(results=results)


def test_record_one_event(service: Service, takt: Takt) -> None:
    """Flags make one event."""
    service.answers = applied
    result = takt(
        *("record", "--server", service.address, "--type", "purchase", "--decision", "d", "--offer", "milk"),
        *("--identity", "login=anna", "--value", "2.5", "--attribute", "basket=3", "--at", "2026-01-31T12:00:00Z"),
    )
    assert (Exit.OK, "1 applied\n") == (result.exit_code, result.output)
    (event,) = service.asked[0].events
    assert ("purchase", "d", "milk", 2.5) == (event.type, event.decision_id, event.offer, event.value)
    assert ("login", "anna") == (event.identity.namespace, event.identity.value)
    assert 3 == event.attributes["basket"].int_value


def test_record_a_file(service: Service, takt: Takt) -> None:
    """A file's wrong lines are named and do not stop the others; the command ends with 1."""
    service.answers = applied
    lines = [
        '{"type": "click", "decision_id": "d"}',
        '{"type": "wrong", "decision_id": "d"}',
        '{"typ": "click", "decision_id": "d"}',
    ]
    result = takt("record", "--server", service.address, "--file", "-", stdin="\n".join(lines))
    assert Exit.FAILED == result.exit_code
    assert "<stdin>:2: type: is not declared" in result.output
    assert "<stdin>:3: typ: is no field of this; did you mean 'type'?" in result.output
    assert "1 applied, 2 rejected" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --type (one event) or --file (many)"),
        (["--type", "click", "--file", "-"], "give either --type (one event) or --file (many)"),
        (["--offer", "milk", "--file", "-"], "everything about the events stands in the file"),
        (["--file", "/no/such/file"], "No such file"),
    ],
)
def test_record_usage(takt: Takt, arguments: list[str], message: str) -> None:
    """A wrong command line says what would be right."""
    result = takt("record", *arguments)
    assert Exit.USAGE == result.exit_code
    assert message in result.output


def test_record_refuses_an_event_about_nobody(service: Service, takt: Takt) -> None:
    """An event has to name a decision or a person."""
    result = takt("record", "--server", service.address, "--type", "click")
    assert Exit.FAILED == result.exit_code
    assert "decision_id: a decision_id, or a profile_id or identity, has to be given" in result.output


def test_put_profiles(service: Service, takt: Takt, tmp_path: Path) -> None:
    """Profiles are sent with the token, and their outcomes counted."""
    service.answers = created
    token, people = tmp_path / "token", tmp_path / "people.jsonl"
    token.write_text("secret\n", encoding="utf-8")
    people.write_text('{"profile_id": "a", "features": {"n": 1}}\n{"profile_id": "b"}\n', encoding="utf-8")
    result = takt("profile", "put", people, "--server", service.address, "--token-file", token)
    assert (Exit.OK, "2 created\n") == (result.exit_code, result.output)
    assert ["a", "b"] == [write.profile_id for write in service.asked[0].profiles]
    assert ["Bearer secret"] == service.tokens


def test_put_in_json(service: Service, takt: Takt) -> None:
    """Scripts get counts, and line, field and message of everything wrong."""
    service.answers = created
    source = '{"profile_id": "a"}\n{"profile_id": 3}\n'
    result = takt("profile", "put", "-", "--server", service.address, "--json", stdin=source)
    shown = json.loads(result.output)
    assert Exit.FAILED == result.exit_code
    assert {"created": 1, "rejected": 1} == shown["outcomes"]
    assert {"line": 2, "field": "profile_id", "message": "is int; a text is expected"} == shown["wrong"][0]


def test_put_names_only_so_many_wrong_lines(service: Service, takt: Takt) -> None:
    """A file of nonsense does not flood the screen."""
    result = takt("profile", "put", "-", "--server", service.address, stdin="nonsense\n" * 30)
    assert "... and 10 more lines" in result.output
    assert "30 rejected" in result.output


def test_put_nothing(service: Service, takt: Takt) -> None:
    """An empty file is said to be empty."""
    result = takt("profile", "put", "-", "--server", service.address, stdin="\n")
    assert (Exit.OK, "<stdin> is empty: nothing was sent\n") == (result.exit_code, result.output)


def anna(_: Any) -> profile_pb2.ProfileServiceGetResponse:
    """A profile."""
    write = profile_write({"profile_id": "a", "identities": {"login": "anna"}, "features": {"n": 1, "f": ["x", "y"]}})
    found = profile_pb2.Profile(profile_id="a", identities=write.identities, features=write.features)
    return profile_pb2.ProfileServiceGetResponse(profile=found)


def test_get_profile(service: Service, takt: Takt) -> None:
    """A person sees the profile; what a script sees can be put again."""
    service.answers = anna
    result = takt("profile", "get", "--identity", "login=anna", "--server", service.address)
    assert "login" == service.asked[0].profile.identity.namespace
    for word in ("profile_id", "login=anna", "x, y"):
        assert word in result.output
    again = takt("profile", "get", "a", "--server", service.address, "--json")
    assert "a" == profile_write(json.loads(again.output)).profile_id


def test_get_what_is_not_there(service: Service, takt: Takt) -> None:
    """A profile that does not exist is a failure with the service's own words."""
    service.refusal = refusal(code_pb2.NOT_FOUND, "there is no profile 'x'", "PROFILE_NOT_FOUND")
    result = takt("profile", "get", "x", "--server", service.address)
    assert (Exit.FAILED, "Error: there is no profile 'x'\n") == (result.exit_code, result.output)


@pytest.mark.parametrize("arguments", [[], ["a", "--identity", "login=anna"]])
def test_get_needs_one_name(takt: Takt, arguments: list[str]) -> None:
    """A person is named in one way."""
    result = takt("profile", "get", *arguments)
    assert Exit.USAGE == result.exit_code
    assert "give either the profile's ID or --identity" in result.output


def linked(request: profile_pb2.ProfileServiceLinkRequest) -> profile_pb2.ProfileServiceLinkResponse:
    """The first identity's profile is merged into the profile."""
    merged = [identity.value for identity in request.identities[:1]]
    return profile_pb2.ProfileServiceLinkResponse(profile_id=request.profile_id or "w", absorbed_profile_ids=merged)


def test_link_names(service: Service, takt: Takt) -> None:
    """Names are sent as given, and the command says who took in whom."""
    service.answers = linked
    result = takt("profile", "link", "a", "--identity", "login=anna", "--server", service.address)
    assert (Exit.OK, "a: took in anna\n") == (result.exit_code, result.output)
    names = ("--identity", "login=anna", "--identity", "cookie=c1")
    shown = json.loads(takt("profile", "link", *names, "--server", service.address, "--json").output)
    assert {"profile_id": "w", "absorbed_profile_ids": ["anna"]} == shown
    assert ["login", "cookie"] == [identity.namespace for identity in service.asked[1].identities]


@pytest.mark.parametrize("arguments", [["a"], ["--identity", "login=anna"]])
def test_link_needs_two_names(takt: Takt, arguments: list[str]) -> None:
    """One name alone has nothing to be linked with."""
    result = takt("profile", "link", *arguments)
    assert Exit.USAGE == result.exit_code
    assert "give the profile's ID and --identity, or --identity twice" in result.output
