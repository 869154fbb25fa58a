"""Checks of single answers: ranked, explained, idempotent, without duplicates; dry runs leave nothing behind."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter

from takt.v1 import decision_pb2, types_pb2
from tests.proofs.callers import Caller, ask, causes, offers
from tests.proofs.grounds import HERO, TILES, Grounds

DECIDED = 160
"""Households of the quick run; the full one takes ten times as many."""
REPEATED = 50
TOLERANCE = 1e-9


def prove(on: Grounds, caller: Caller) -> None:
    """All of it, on households of its own."""
    answers = decided(on, caller)
    idempotent(on, caller)
    duplicates(on, answers)
    explained(on, answers)
    dry(on, caller)


def decided(on: Grounds, caller: Caller) -> list[decision_pb2.DecideResponse]:
    """Ranked decisions for many households."""
    number = DECIDED if on.quick else 10 * DECIDED
    on.figures.step(f"decide for {number} households, {len(on.placements)} placements each")
    answers, took = [], []
    for _ in range(number):
        request = ask(next(on.households), *on.placements)
        begun = time.perf_counter()
        answers.append(on.real(caller, request))
        took.append(time.perf_counter() - begun)
    with_offers = [answer for answer in answers if offers(answer)]
    on.figures.check("households_with_ranked_offers", len(with_offers), ">= 100")
    on.figures.check("answers_degraded", sum(bool(answer.degradations) for answer in answers), "== 0")
    on.figures.check("answers_ranked_wrongly", sum(not ranked(on, answer) for answer in answers), "== 0")
    on.figures.check("different_offers_shown", len({offer for answer in answers for offer in offers(answer)}), ">= 20")
    on.figures.check("median_ms_of_a_lone_caller", round(1000 * statistics.median(took), 2), "shown")
    return answers


def ranked(on: Grounds, answer: decision_pb2.DecideResponse) -> bool:
    """Whether ranks ascend from 1, propensities multiply, and every score is the sum of its factors."""
    exponent = on.catalog.arbitration.exponent
    for placement in answer.placements:
        if [offer.rank for offer in placement.offers] != list(range(1, len(placement.offers) + 1)):
            return False
        if bool(placement.offers) != (placement.status == decision_pb2.PLACEMENT_STATUS_OFFERED):
            return False
        for offer in placement.offers:
            s = offer.score
            total = (
                (s.acceptance**exponent - s.baseline) * s.value * s.context_weight * s.lever
                - s.annoyance_cost * s.reaction
                - s.contact_cost
            )
            product = offer.offer_propensity * offer.arm_propensity
            # factors are estimated in float32
            if not math.isclose(total, s.total, rel_tol=1e-5, abs_tol=1e-6):
                return False
            if not (0 < offer.propensity <= 1 and math.isclose(product, offer.propensity, rel_tol=TOLERANCE)):
                return False
            if not (offer.treatment.content and offer.tonality and offer.timing.slot):
                return False
    return True


def idempotent(on: Grounds, caller: Caller) -> None:
    """A repeat gets the identical bytes; the same id for something else is refused."""
    on.figures.step(f"repeat {REPEATED} requests under their ids, and use the ids for other requests")
    requests = [ask(next(on.households), HERO, TILES) for _ in range(REPEATED)]
    first = [on.real(caller, request) for request in requests]
    again = [on.real(caller, request) for request in requests]
    different = sum(
        a.SerializeToString(deterministic=True) != b.SerializeToString(deterministic=True)
        for a, b in zip(first, again, strict=True)
    )
    on.figures.check("repeats_that_differ", different, "== 0")
    others = [ask(request.profile_id, HERO, request_id=request.request_id) for request in requests]
    refused = sum(caller.refusal(other) == ("INVALID_ARGUMENT REQUEST_ID_REUSED", ["request_id"]) for other in others)
    on.figures.check("reused_ids_refused", refused, f"== {REPEATED}")


def duplicates(on: Grounds, answers: list[decision_pb2.DecideResponse]) -> None:
    """No offer stands twice in an answer."""
    on.figures.step("look for an offer that fills two placements of one answer")
    on.figures.check("offers_shown_twice", sum(len(offers(a)) - len(set(offers(a))) for a in answers), "== 0")


def explained(on: Grounds, answers: list[decision_pb2.DecideResponse]) -> None:
    """Every offer that is not shown has a reason, and a cap or rule has its name."""
    on.figures.step("ask why the other offers were left out")
    every = len(on.catalog.offers)
    unexplained, unnamed = 0, 0
    reasons: Counter[str] = Counter()
    for placement in (placement for answer in answers for placement in answer.placements):
        left_out = sum(exclusion.count for exclusion in placement.exclusions)
        unexplained += abs(every - len(placement.offers) - left_out)
        for exclusion in placement.exclusions:
            name = types_pb2.ReasonCode.Name(exclusion.reason).removeprefix("REASON_CODE_")
            reasons[name] += exclusion.count
            unexplained += abs(exclusion.count - len(exclusion.offers))
            unnamed += not exclusion.rule and (name.startswith("CAP_") or name in {"NOT_ELIGIBLE", "RULE_ERROR"})
    on.figures.note(", ".join(f"{name} {count}" for name, count in reasons.most_common()))
    on.figures.check("offers_without_a_reason", unexplained, "== 0")
    on.figures.check("caps_and_rules_without_a_name", unnamed, "== 0")
    on.figures.check("different_reasons", len(reasons), ">= 5")


def dry(on: Grounds, caller: Caller) -> None:
    """However many dry runs there were, a real request finds nothing counted, even under the same id."""
    on.figures.step("thirty dry runs for one household, then the same request for real")
    (profile_id,) = on.offered(caller, 1, HERO)
    before = caller.decide(ask(profile_id, *on.placements, dry_run=True))
    request_id = ""
    for _ in range(30):
        request = ask(profile_id, *on.placements, dry_run=True)
        caller.decide(request)
        request_id = request.request_id
    after = caller.decide(ask(profile_id, *on.placements, dry_run=True))
    counted = abs(policy(after) - policy(before))
    on.figures.check("left_out_because_of_dry_runs", counted, "== 0")
    real = on.real(caller, ask(profile_id, *on.placements, request_id=request_id))
    on.figures.check("real_request_under_a_dry_runs_id", "answered" if not causes(real) else "degraded", "== answered")


def policy(answer: decision_pb2.DecideResponse) -> int:
    """How many offers gaps and caps left out of an answer."""
    least, most = types_pb2.REASON_CODE_MINIMUM_GAP, types_pb2.REASON_CODE_CAP_TOTAL
    return sum(e.count for p in answer.placements for e in p.exclusions if least <= e.reason <= most)
