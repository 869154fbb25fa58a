"""`takt decide` against a service that answers what the test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from google.protobuf import json_format
from google.rpc import code_pb2

from takt.cli.exits import Exit
from takt.v1 import decision_pb2, types_pb2
from tests.unit.cli.conftest import Service, refusal

Takt = Callable[..., Result]


def answer(**more: Any) -> decision_pb2.DecideResponse:
    """A decision with an offer, a silence and a fallback."""
    shown = {
        "rank": 1,
        "offer": "milk",
        "channel": "web",
        "timing": {"slot": "now", "not_before": "2026-01-31T12:00:00Z"},
        "tonality": "warm",
        "form_of_address": "FORM_OF_ADDRESS_FORMAL",
        "score": {"acceptance": 0.1234, "value": 2.5, "total": 0.3085},
        "propensity": 0.9,
    }
    capped = {"reason": "REASON_CODE_CAP_OFFER", "count": 2, "rule": "offer-week", "offers": ["tea", "[bold]oil"]}
    whole = {
        "decision_id": "d-1",
        "request_id": "r-1",
        "profile_id": "hh-0001",
        "stage": "evaluate",
        "attempts": 1,
        "placements": [
            {"placement": "hero", "status": "PLACEMENT_STATUS_OFFERED", "offers": [shown], "exclusions": [capped]},
            {"placement": "tiles", "status": "PLACEMENT_STATUS_SILENCE"},
            {"placement": "inbox", "status": "PLACEMENT_STATUS_FALLBACK", "fallback": "content/neutral"},
        ],
        **more,
    }
    return json_format.ParseDict(whole, decision_pb2.DecideResponse())


def test_shows_what_was_decided_and_why(service: Service, takt: Takt) -> None:
    """People see placement, status, offer, timing, tone, acceptance, value and the reasons of exclusion."""
    service.answers = lambda _: answer()
    result = takt(
        *("decide", "--server", service.address, "--profile", "hh-0001", "--placement", "hero", "--placement", "tiles"),
        *("--placement", "inbox", "--context", "page=home", "--timing", "now", "--budget", "80ms"),
    )
    assert Exit.OK == result.exit_code
    for word in (
        *("hh-0001", "evaluate", "OFFERED", "milk", "now", "warm", "formal", "12.34%", "2.50", "+0.3085"),
        *("SILENCE", "FALLBACK", "content/neutral", "2 CAP_OFFER offer-week", "tea, [bold]oil", "decision d-1"),
    ):
        assert word in result.output
    (request,) = service.asked
    assert ["hero", "tiles", "inbox"] == [p.placement for p in request.placements]
    assert "home" == request.context["page"].string_value
    assert decision_pb2.EXPLAIN_LEVEL_OFFERS == request.explain
    assert request.request_id


def test_json_is_the_message(service: Service, takt: Takt) -> None:
    """Scripts get the whole answer, with the contract's own names."""
    service.answers = lambda _: answer()
    result = takt("decide", "--server", service.address, "--profile", "p", "--placement", "hero", "--json")
    assert answer() == json_format.ParseDict(json.loads(result.output), decision_pb2.DecideResponse())
    assert "decision_id" in result.output


def test_a_narrow_terminal_shows_less(service: Service, takt: Takt) -> None:
    """On 80 columns nothing that matters is cut off."""
    service.answers = lambda _: answer()
    result = takt(
        *("decide", "--server", service.address, "--profile", "p", "--placement", "hero"), env={"COLUMNS": "80"}
    )
    for word in ("OFFERED", "milk", "now, warm, formal", "12.34%", "+0.3085", "FALLBACK"):
        assert word in result.output
    assert all(len(line) <= 80 for line in result.output.splitlines())


def test_degraded_answers_have_a_code_of_their_own(service: Service, takt: Takt) -> None:
    """A script can tell an answer that was degraded, and a person sees why."""
    service.answers = lambda _: answer(degradations=[{"cause": "DEGRADATION_CAUSE_STORE", "message": "gone"}])
    result = takt("decide", "--server", service.address, "--profile", "p", "--placement", "hero")
    assert Exit.DEGRADED == result.exit_code
    assert "degraded: STORE  gone" in result.output


def test_explains_candidates_and_better_moments(service: Service, takt: Takt) -> None:
    """With everything explained, every factor of every candidate is shown."""
    score = {"acceptance": 0.5, "value": 3, "contact_cost": 0.05, "total": 1.45}
    better = {"offer": "tea", "channel": "app", "score": 2, "timing": {"slot": "tonight"}}
    placement = {
        "placement": "hero",
        "next_moment": better,
        "candidates": [{"offer": "oil", "timing": "weekend", "tonality": "playful", "score": score}],
    }
    service.answers = lambda _: answer(placements=[placement])
    result = takt("decide", "--server", service.address, "--profile", "p", "--placement", "h", "--explain", "full")
    for word in ("better moment: tea by app, tonight", "oil", "weekend", "playful", "0.05", "1.45"):
        assert word in result.output
    assert decision_pb2.EXPLAIN_LEVEL_FULL == service.asked[0].explain


def test_refusals_name_every_field(service: Service, takt: Takt) -> None:
    """What the service refuses is shown with its reason and all fields."""
    service.refusal = refusal(
        code_pb2.INVALID_ARGUMENT,
        "2 fields are wrong",
        "INVALID_REQUEST",
        context__page="unknown feature; did you mean 'pages'?",
        timings="unknown timing",
    )
    result = takt("decide", "--server", service.address, "--profile", "p", "--placement", "hero")
    assert Exit.FAILED == result.exit_code
    for word in ("INVALID_REQUEST", "context.page: unknown feature; did you mean 'pages'?", "timings: unknown timing"):
        assert word in result.output


def test_draining_is_unreachable(service: Service, takt: Takt) -> None:
    """A replica that drains is as good as none: another one will answer."""
    service.refusal = refusal(code_pb2.UNAVAILABLE, "this replica is draining", "SHUTTING_DOWN")
    result = takt("decide", "--server", service.address, "--profile", "p", "--placement", "hero")
    assert Exit.UNREACHABLE == result.exit_code
    assert "SHUTTING_DOWN: this replica is draining" in result.output


def test_nobody_there(takt: Takt) -> None:
    """An address without a service is named, with what to do."""
    result = takt("decide", "--server", "127.0.0.1:1", "--profile", "p", "--placement", "hero")
    assert Exit.UNREACHABLE == result.exit_code
    assert "127.0.0.1:1" in result.output
    assert "takt serve" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "p"], "Missing option '--placement'"),
        (["--placement", "a", "--explain", "all"], "'all' is not one of"),
        (["--placement", "a", "--tls-cert", __file__], "--tls-cert and --tls-key belong together"),
        (["--placement", "a", "--timeout", "0"], "Invalid value for '--timeout'"),
    ],
)
def test_usage(takt: Takt, arguments: list[str], message: str) -> None:
    """A wrong command line says which option is wrong."""
    result = takt("decide", *arguments)
    assert Exit.USAGE == result.exit_code
    assert message in result.output


def test_malformed_values_are_refused_before_anything_is_sent(service: Service, takt: Takt) -> None:
    """What cannot be a request never reaches the service."""
    result = takt("decide", "--server", service.address, "--profile", "p", "--placement", "a", "--context", "page")
    assert Exit.FAILED == result.exit_code
    assert "context: 'page' is no assignment; write it like page=home" in result.output
    assert [] == service.asked


def test_server_comes_from_the_environment(service: Service, takt: Takt) -> None:
    """An address can be set once for many calls."""
    service.answers = lambda _: answer()
    result = takt("decide", "--profile", "p", "--placement", "hero", env={"TAKT_SERVER": service.address})
    assert Exit.OK == result.exit_code


def test_every_status_reason_and_cause_has_a_short_name() -> None:
    """The names that people see are the contract's without their prefixes."""
    assert all(name.startswith("PLACEMENT_STATUS_") for name in decision_pb2.PlacementStatus.keys())  # noqa: SIM118
    assert all(name.startswith("REASON_CODE_") for name in types_pb2.ReasonCode.keys())  # noqa: SIM118
    assert all(name.startswith("DEGRADATION_CAUSE_") for name in types_pb2.DegradationCause.keys())  # noqa: SIM118
