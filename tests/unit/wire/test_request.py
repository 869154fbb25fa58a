"""A request is read whole: as a value, or refused with everything that is wrong with it."""

from __future__ import annotations

import math

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from takt.domain.request import DecideRequest, Explain, Identity, PlacementAsk
from takt.errors import InvalidRequestError
from takt.v1 import decision_pb2
from takt.v1.types_pb2 import Identity as IdentityMessage
from takt.v1.types_pb2 import StringList, Value
from takt.wire.asking import digest
from takt.wire.request import Budget, decide_request, request_message

BUDGET = Budget(received_us=1_000_000, default_us=250_000)


def message(**given: object) -> decision_pb2.DecideRequest:
    """A request that is right, but for what is given."""
    right: dict[str, object] = {
        "request_id": "r-1",
        "profile_id": "p-1",
        "placements": [decision_pb2.PlacementRequest(placement="hero")],
    }
    return decision_pb2.DecideRequest(**right | given)  # type: ignore[arg-type]  # spread over all fields


def wrong(given: decision_pb2.DecideRequest) -> dict[str, str]:
    """What is wrong with a request, by field."""
    with pytest.raises(InvalidRequestError) as refusal:
        decide_request(given, BUDGET, {"t"})
    return {violation.field: violation.message for violation in refusal.value.violations}


def test_every_field_is_read() -> None:
    """What the caller asked arrives in the domain's words."""
    asked = message(
        profile_id="",
        identities=[IdentityMessage(namespace="login", value="ada"), IdentityMessage(namespace="cookie", value="c")],
        placements=[decision_pb2.PlacementRequest(placement="hero", max_offers=2)],
        context={
            "page": Value(string_value="home"),
            "items": Value(int_value=3),
            "basket": Value(double_value=9.5),
            "app": Value(bool_value=False),
            "since": Value(timestamp_value=Timestamp(seconds=10, nanos=1_999)),
            "tags": Value(string_list_value=StringList(values=["b", "a", "b"])),
            "none": Value(string_list_value=StringList()),
            "missing": Value(),
        },
        timings=["now"],
        dry_run=True,
        explain=decision_pb2.EXPLAIN_LEVEL_FULL,
        allow_duplicates=True,
        budget=Duration(nanos=20_000_000),
    )

    assert DecideRequest(
        request_id="r-1",
        placements=(PlacementAsk("hero", 2),),
        identities=(Identity("login", "ada"), Identity("cookie", "c")),
        context={
            "app": False,
            "basket": 9.5,
            "items": 3,
            "none": (),
            "page": "home",
            "since": 10_000_001,
            "tags": ("a", "b"),
        },
        timings=("now",),
        dry_run=True,
        explain=Explain.FULL,
        allow_duplicates=True,
        deadline_us=1_020_000,
    ) == decide_request(asked, BUDGET, {"since"})


@pytest.mark.parametrize(
    ("budget", "asked", "deadline"),
    [
        (Budget(1_000, 250), 0, 1_250),
        (Budget(1_000, 250), 7, 1_007),
        (Budget(1_000, 250, latest_us=1_100), 0, 1_100),
        (Budget(1_000, 250, latest_us=1_100), 7, 1_007),
        (Budget(1_000, 250, latest_us=-5), 0, 1),
    ],
)
def test_deadline_is_the_earlier(budget: Budget, asked: int, deadline: int) -> None:
    """The request's budget, else the service's, but never past the moment when nobody reads the answer."""
    assert deadline == budget.deadline_us(asked)


def test_all_violations_are_named_at_once() -> None:
    """One refusal names every field that cannot mean anything, and what would be right."""
    given = message(
        request_id="",
        identities=[IdentityMessage(namespace="Login", value="")],
        placements=[decision_pb2.PlacementRequest(placement="x" * 300)],
        context={"a": Value(double_value=math.nan), "b": Value(string_value="x" * 300), "ok": Value(int_value=1)},
        timings=["t"] * 33,
        explain=9,
        budget=Duration(seconds=61),
    )

    assert {
        "request_id": "must have 1 to 128 characters, and has 0",
        "profile_id": "give either profile_id or identities, and not both",
        "identities[0].namespace": 'must have 1 to 32 characters out of a-z, 0-9, "_" and "-"',
        "identities[0].value": "must have 1 to 256 characters",
        "placements[0].placement": "must have 0 to 256 characters, and has 300",
        'context["a"]': "must be finite; leave out what is missing",
        'context["b"]': "has 300 characters, at most 256",
        "timings": "33 given, at most 32",
        "explain": "9 is not an ExplainLevel; use COUNTS, OFFERS or FULL",
        "budget": "must be 1 ms to 60 s",
    } == wrong(given)


def test_no_person_is_refused() -> None:
    """A request that names nobody is refused like one that names two."""
    assert {"profile_id": "give either profile_id or identities, and not both"} == wrong(message(profile_id=""))


@pytest.mark.parametrize("count", [0, 17, 10_000])
def test_number_of_placements_is_bounded(count: int) -> None:
    """None, or absurdly many: refused by their number, before anything is done for each."""
    given = message(placements=[decision_pb2.PlacementRequest(placement="hero")] * count)

    assert {"placements": f"{count} given, from 1 to 16 can be decided at once"} == wrong(given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"identities": [IdentityMessage(namespace="a", value="b")] * 9, "profile_id": ""}, "identities"),
        ({"context": {f"f{n}": Value(int_value=n) for n in range(65)}}, "context"),
        ({"context": {"t": Value(timestamp_value=Timestamp(seconds=10**12))}}, 'context["t"]'),
        ({"context": {"t": Value(timestamp_value=Timestamp(nanos=-1))}}, 'context["t"]'),
        ({"context": {"t": Value(int_value=1)}}, 'context["t"]'),
        ({"context": {"n": Value(timestamp_value=Timestamp())}}, 'context["n"]'),
        ({"context": {"f": Value(string_list_value=StringList(values=["x"] * 65))}}, 'context["f"]'),
        ({"context": {"f": Value(string_list_value=StringList(values=[""]))}}, 'context["f"]'),
        ({"profile_id": "p" * 65}, "profile_id"),
        ({"budget": Duration(nanos=999_000)}, "budget"),
        ({"budget": Duration(seconds=-1)}, "budget"),
    ],
)
def test_limits_name_their_field(given: dict[str, object], field: str) -> None:
    """Each limit of the contract is kept, and the violation says where."""
    assert {field} == set(wrong(message(**given)))


def test_an_absurd_name_is_cut_short_in_its_path() -> None:
    """Names come from outside: the path of a violation repeats only their beginning."""
    (path,) = wrong(message(context={"n" * 5_000: Value(double_value=math.inf)}))

    assert len(path) < 100


def test_the_log_keeps_no_identity_value() -> None:
    """What is logged of a request says through which namespaces the person was named, and no more."""
    request = decide_request(
        message(profile_id="", identities=[IdentityMessage(namespace="login", value="ada@example.org")]), BUDGET
    )

    kept = request_message(request)

    assert [IdentityMessage(namespace="login")] == list(kept.identities)
    assert b"ada" not in kept.SerializeToString()


def test_what_is_logged_asks_the_same() -> None:
    """Read again, a logged request has the digest of the one that was asked."""
    request = decide_request(
        message(context={"page": Value(string_value="home"), "x": Value(double_value=1.0)}, timings=["now"]), BUDGET
    )

    assert digest(request) == digest(decide_request(request_message(request), BUDGET))
