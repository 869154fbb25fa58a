"""A decision over real gRPC, out of a real store and a real model."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from takt.v1 import decision_pb2, decision_pb2_grpc, types_pb2
from takt.v1.types_pb2 import Identity, Value
from tests.integration.rpc.asking import ask, refused

Stub = decision_pb2_grpc.DecisionServiceStub

pytestmark = pytest.mark.timeout(300)  # the first test may wait for kernels to be compiled


def test_a_decision_is_whole(decisions: Stub, ada: str) -> None:
    """Every placement is answered in order, by this model and catalog, for this person, and nothing is degraded."""
    request = ask("home_hero", "home_row", "newsletter", profile_id=ada, explain=decision_pb2.EXPLAIN_LEVEL_FULL)

    answer = decisions.Decide(request)

    assert [] == list(answer.degradations)
    assert (request.request_id, ada, False, "purchase") == (
        answer.request_id,
        answer.profile_id,
        answer.anonymous,
        answer.stage,
    )
    assert ["home_hero", "home_row", "newsletter"] == [p.placement for p in answer.placements]
    assert "tiny/1.0.0" == answer.versions.model
    assert 1 == answer.attempts
    # no consent to e-mail: nothing there, and the reason is given for each offer
    newsletter = answer.placements[2]
    assert decision_pb2.PLACEMENT_STATUS_FALLBACK == newsletter.status
    assert "content/newsletter/neutral" == newsletter.fallback
    assert types_pb2.REASON_CODE_NO_CONSENT in {e.reason for e in newsletter.exclusions}


def test_offers_are_shown_with_everything_needed(decisions: Stub, ada: str) -> None:
    """An offer comes with content, timing, tone, address, the sum of its score and the chance of its selection."""
    found = [
        offer
        for _ in range(20)
        for placement in decisions.Decide(ask("home_hero", "home_row", profile_id=ada, dry_run=True)).placements
        for offer in placement.offers
    ]

    assert found
    for offer in found:
        assert offer.treatment.content.startswith("content/")
        assert 0 < offer.offer_propensity <= 1
        assert offer.propensity == offer.offer_propensity * offer.arm_propensity
        assert offer.timing.not_before.ToMicroseconds() < offer.timing.not_after.ToMicroseconds()
        assert types_pb2.FORM_OF_ADDRESS_INFORMAL != offer.form_of_address
        score = offer.score
        total = (score.acceptance - score.baseline) * score.value * score.context_weight * score.lever
        assert pytest.approx(total - score.annoyance_cost * score.reaction - score.contact_cost) == score.total


def test_a_repeat_is_identical(decisions: Stub, ada: str) -> None:
    """The same request under the same id gets the same answer, byte for byte."""
    request = ask("home_hero", "home_row", profile_id=ada)

    first, second = decisions.Decide(request), decisions.Decide(request)

    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_an_id_is_for_one_request(decisions: Stub, ada: str) -> None:
    """The same id with another request is refused, and says which field to change."""
    decisions.Decide(ask("home_hero", request_id="one-id", profile_id=ada))

    assert ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"]) == unexplained(
        refused(lambda: decisions.Decide(ask("home_row", request_id="one-id", profile_id=ada)))
    )


def unexplained(refusal: tuple[str, str, dict[str, str]]) -> tuple[str, str, list[str]]:
    """A refusal with the fields alone."""
    return refusal[0], refusal[1], sorted(refusal[2])


def test_unknown_people_are_anonymous(decisions: Stub) -> None:
    """Somebody whose identity leads nowhere is decided for, under an id that the identity makes."""
    asked = [Identity(namespace="cookie", value="nobody-knows")]

    first = decisions.Decide(ask(identities=asked))
    second = decisions.Decide(ask(identities=asked))

    assert (True, True) == (first.anonymous, second.anonymous)
    assert first.profile_id == second.profile_id
    assert "nobody" not in first.profile_id


def test_everything_wrong_is_named(decisions: Stub) -> None:
    """What only the catalog can know is refused by field, with what would be right."""
    request = ask(
        "home_hero",
        "home_herp",
        context={
            "page": Value(string_value="basement"),
            "basket_value": Value(string_value="much"),
            "hour": Value(int_value=3),
            "mood": Value(bool_value=True),
        },
        timings=["yesterday"],
    )

    code, reason, fields = refused(lambda: decisions.Decide(request))

    assert ("INVALID_ARGUMENT", "INVALID_REQUEST") == (code, reason)
    assert {
        "placements[1].placement",
        "timings[0]",
        'context["page"]',
        'context["basket_value"]',
        'context["hour"]',
        'context["mood"]',
    } == set(fields)
    assert "did you mean 'home_hero'?" in fields["placements[1].placement"]


def test_ten_thousand_placements_are_refused(decisions: Stub) -> None:
    """An absurd size costs its sender a refusal, and nobody else anything."""
    request = ask(*["home_hero"] * 10_000)

    assert ("INVALID_ARGUMENT", "INVALID_REQUEST", ["placements"]) == unexplained(
        refused(lambda: decisions.Decide(request))
    )


def test_a_message_that_is_too_large_is_refused(decisions: Stub) -> None:
    """More than 4 MiB is not read at all."""
    request = ask(context={"page": Value(string_value="x" * 5_000_000)})

    with pytest.raises(grpc.RpcError) as refusal:
        decisions.Decide(request)

    assert "RESOURCE_EXHAUSTED" == refusal.value.code().name  # type: ignore[attr-defined]  # calls have codes


def test_a_wrong_request_spoils_no_other(decisions: Stub) -> None:
    """Asked at the same time, right requests are answered and wrong ones refused, each on its own."""
    right = [decisions.Decide.future(ask(profile_id=f"some-{n}")) for n in range(20)]
    wrong = [decisions.Decide.future(ask("nowhere")) for _ in range(20)]

    assert ["home_hero"] * 20 == [call.result().placements[0].placement for call in right]
    assert ["INVALID_ARGUMENT"] * 20 == [call.exception().code().name for call in wrong]


def test_a_spent_deadline_breaks_no_page(decisions: Stub) -> None:
    """A call of one millisecond gets an answer, a fallback if need be, or nobody is there to get one."""
    for _ in range(20):
        try:
            answer = decisions.Decide(ask("home_hero", dry_run=True), timeout=0.001)
        except grpc.RpcError as error:
            assert "DEADLINE_EXCEEDED" == error.code().name  # type: ignore[attr-defined]  # noqa: PT017 - or no error
        else:
            assert {types_pb2.DEGRADATION_CAUSE_DEADLINE} >= {d.cause for d in answer.degradations}
    assert [] == list(decisions.Decide(ask("home_hero")).degradations)


def test_a_budget_is_kept(decisions: Stub) -> None:
    """A budget of one millisecond is answered with OK: decided in time, or with the fallback and its cause."""
    answers = [decisions.Decide(ask("home_hero", budget=Duration(nanos=1_000_000))) for _ in range(20)]

    for answer in answers:
        assert ["home_hero"] == [p.placement for p in answer.placements]
        assert {types_pb2.DEGRADATION_CAUSE_DEADLINE} >= {d.cause for d in answer.degradations}


def test_a_stream_answers_by_id(decisions: Stub) -> None:
    """Many requests over one stream: each is answered once, wrong ones with their error in place."""
    requests = {f"s-{n}": ask("nowhere" if n % 5 == 0 else "home_hero", request_id=f"s-{n}") for n in range(50)}

    def sent() -> Iterator[decision_pb2.DecideStreamRequest]:
        for request in requests.values():
            yield decision_pb2.DecideStreamRequest(request=request)

    answers = {answer.request_id: answer for answer in decisions.DecideStream(sent())}

    assert requests.keys() == answers.keys()
    for name, answer in answers.items():
        if requests[name].placements[0].placement == "nowhere":
            assert grpc.StatusCode.INVALID_ARGUMENT.value[0] == answer.error.code
            assert answer.error.details
        else:
            assert name == answer.response.request_id
            assert "home_hero" == answer.response.placements[0].placement
