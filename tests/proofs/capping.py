"""Checks of caps: one caller thirty times, many callers over two services at once, the same request at both."""

from __future__ import annotations

from collections import Counter

from takt.catalog.snapshot import Cap
from takt.v1 import decision_pb2, types_pb2
from takt_training.demo.serving import Service
from tests.proofs.callers import Caller, ask, at_once, causes, offers
from tests.proofs.grounds import HERO, TILES, Grounds

TIMES = 30
CALLERS = 32
TWINS = 20
WHOLE = {
    types_pb2.REASON_CODE_CAP_PROFILE,
    types_pb2.REASON_CODE_CAP_CHANNEL,
    types_pb2.REASON_CODE_CAP_PLACEMENT,
}
"""Caps that refuse all offers of a placement alike."""


def prove(on: Grounds, caller: Caller, second: Service) -> None:
    """Alone, then together with a second service on the same store."""
    patient(on, caller)
    on.figures.step("a second takt serve on the same store")
    second.await_ready()
    callers = [caller, Caller(second.public.address)]
    crowd(on, callers)
    twins(on, callers)
    callers[1].close()
    on.figures.check("over_delivered_in_all", on.count.over_delivered(on.catalog), "== 0")


def patient(on: Grounds, caller: Caller) -> None:
    """One household, asked for thirty times."""
    on.figures.step(f"ask {TIMES} times for each of three households, and count what they are shown")
    for profile_id in on.offered(caller, 3, HERO, TILES):
        answers = [on.real(caller, ask(profile_id, *on.placements)) for _ in range(TIMES)]
        shown = [len(offers(answer)) for answer in answers]
        caps = Counter(
            exclusion.rule
            for placement in answers[-1].placements
            for exclusion in placement.exclusions
            if types_pb2.REASON_CODE_CAP_PROFILE <= exclusion.reason <= types_pb2.REASON_CODE_CAP_TOTAL
        )
        on.figures.note(
            f"{profile_id}: offers per visit {shown}; at the end {', '.join(caps) or 'no cap'} left offers out"
        )
    on.figures.check("over_delivered_alone", on.count.over_delivered(on.catalog), "== 0")
    reached = on.count.reached(on.catalog)
    on.figures.note(f"caps that were reached: {', '.join(reached)}")
    on.figures.check("caps_reached", len(reached), ">= 2")


def crowd(on: Grounds, callers: list[Caller]) -> None:
    """Many callers at once for one household, over two services; several households, one after the other."""
    rounds, each = (4, 4) if on.quick else (12, 10)
    on.figures.step(
        f"{CALLERS} callers at once over two services, {each} requests each for one household; {rounds} rounds"
    )
    answers: list[decision_pb2.DecideResponse] = []
    for profile_id in on.offered(callers[0], rounds, HERO, TILES):
        requests = [ask(profile_id, HERO, TILES) for _ in range(CALLERS * each)]
        answers += at_once(CALLERS, list(enumerate(requests)), lambda task: callers[task[0] % 2].decide(task[1]))
    on.count.add(answers)
    contention = sum("CONTENTION" in causes(answer) for answer in answers)
    others = sum(bool(causes(answer) - {"CONTENTION"}) for answer in answers)
    on.figures.check("over_delivered_by_a_crowd", on.count.over_delivered(on.catalog), "== 0")
    on.figures.check("crowd_requests", len(answers), "shown")
    on.figures.check("crowd_with_offers", sum(bool(offers(answer)) for answer in answers), f">= {rounds}")
    on.figures.check("crowd_most_attempts", max(answer.attempts for answer in answers), "<= 4")
    on.figures.check("crowd_contention_share", round(contention / len(answers), 4), "<= 0.05")
    on.figures.check("crowd_degraded_otherwise", others, "== 0")


def twins(on: Grounds, callers: list[Caller]) -> None:
    """The same request at both services at the same moment: one answer, one contact."""
    on.figures.step(f"the same request at both services at once, {TWINS} times, then alone until a cap refuses")
    differing, judged, early = 0, 0, 0
    for profile_id in on.offered(callers[0], TWINS, HERO):
        request = ask(profile_id, HERO)
        one, other = at_once(2, [(caller, request) for caller in callers], lambda task: task[0].decide(task[1]))
        on.count.add([one, other])
        # an answer that was degraded is not final: the other may have been decided
        if not (one.degradations or other.degradations):
            differing += one.SerializeToString(deterministic=True) != other.SerializeToString(deterministic=True)
        refusals = until_refused(on, callers[0], profile_id)
        judged += bool(refusals)
        early += sum(on.count.fullest_of(on.catalog, cap, profile_id) < cap.limit for cap in refusals)
    on.figures.check("twins_that_differ", differing, "== 0")
    on.figures.check("twins_followed_until_a_cap_refused", judged, f">= {TWINS // 2}")
    # a contact that was counted twice would fill the cap before its limit was shown
    on.figures.check("twins_counted_twice", early, "== 0")


def until_refused(on: Grounds, caller: Caller, profile_id: str) -> list[Cap]:
    """Ask until caps of person, channel or placement refuse every offer; these caps, or none if none ever does."""
    caps = {cap.id: cap for cap in on.catalog.caps}
    for _ in range(TIMES):
        answer = on.real(caller, ask(profile_id, HERO))
        refusals = [e.rule for p in answer.placements for e in p.exclusions if e.reason in WHOLE]
        if refusals:
            return [caps[rule] for rule in refusals]
    return []
