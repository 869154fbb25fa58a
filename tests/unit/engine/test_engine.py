"""What the engine promises a caller, whatever happens to the store, the model or the person meanwhile."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Counts, Exploration, Scope, Zone
from takt.clock import DAY_US, MINUTE_US, SECOND_US
from takt.domain.decision import Decision, Degradation, decision_id, person_address
from takt.domain.feedback import FeedbackEvent, FeedbackOutcome
from takt.domain.ledger import EntryState
from takt.domain.person import Address
from takt.domain.profile import ProfilePut, PutOutcome
from takt.domain.reasons import Cause, Reason, Status
from takt.domain.request import Explain, Identity, PlacementAsk
from takt.engine.selection import select
from takt.engine.steps import finished
from takt.errors import InvalidRequestError, RequestIdReusedError, StoreError, TaktError
from tests.unit.engine.conftest import MONDAY_NOON_US, TellingScorer, World, offers_of

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog

GREEDY = Exploration(rule="greedy", silence_floor=0.001, arm_rule="greedy")


def person_cap(catalog: Catalog, limit: int, **changes: Any) -> Catalog:
    """The catalog with one cap alone: so many contacts of a person in a week."""
    fields: dict[str, Any] = {
        "id": "week",
        "scope": Scope.PROFILE,
        "limit": limit,
        "window_us": 7 * DAY_US,
        "calendar": Calendar.ROLLING,
        "zone": Zone.CUSTOMER,
        "zone_name": "",
        "counts": Counts.DECISION,
        "keys": np.ones(1, np.bool_),
    }
    return replace(catalog, caps=(Cap(**(fields | changes)),), exploration=GREEDY)


def causes(decision: Decision) -> list[Cause]:
    """Why an answer is degraded."""
    return [d.cause for d in decision.degradations]


def test_a_page_is_filled_in_two_round_trips(world: World) -> None:
    """Several placements and people cost one fetch, one commit and one run of the model."""
    world.person("q")
    world.store.trips.clear()
    scorer = world.engine.force.scorer
    asked = [world.ask(f"r{i}", "home_hero", "home_row", profile_id="pq"[i % 2]) for i in range(6)]
    answers = world.engine.decide(asked)
    assert all(isinstance(a, Decision) and not a.degraded for a in answers)
    assert ["fetch", "commit"] == world.store.trips
    assert isinstance(scorer, TellingScorer)
    assert 1 == scorer.runs


def test_names_cost_one_round_trip_more(world: World) -> None:
    """People named by identity are looked up once for the batch."""
    asked = [world.ask(f"r{i}", identities=(Identity("cookie", f"c{i}"),)) for i in range(5)]
    world.engine.decide(asked)
    assert ["resolve", "fetch", "commit"] == world.store.trips


def test_an_offer_carries_all_that_is_needed_to_show_it(minimal: Catalog) -> None:
    """Treatment, moment, tone, address, factors that add up, and propensities."""
    world = World(replace(minimal, exploration=GREEDY))
    world.person()
    (offer,) = world.decide(world.ask("r", "home_hero")).placements[0].offers
    score = offer.score
    product = score.acceptance * score.value * score.context_weight * score.lever
    assert "lawn-mower" == offer.offer
    assert "content/lawn-mower/web/warm" == offer.content
    assert ("warm", "NEUTRAL", "now") == (offer.tonality, offer.form_of_address, offer.timing.slot)
    assert world.clock.now_us() == offer.timing.not_before_us
    assert world.clock.now_us() + 15 * MINUTE_US == offer.timing.not_after_us
    assert pytest.approx(product) == score.total
    assert pytest.approx(0.999) == offer.offer_propensity
    assert 1.0 == offer.arm_propensity


def test_a_repeat_gets_the_identical_answer_and_makes_no_contact(world: World) -> None:
    """The same id with the same request is answered from the log, later and by another replica as well."""
    request = world.ask("r", "home_hero", "home_row")
    first = world.decide(request)
    world.clock.advance(5 * MINUTE_US)
    (again,) = world.replica().decide([request])
    assert first == again
    assert sum(map(len, offers_of(first))) == len(world.contacts())


def test_an_id_used_for_another_request_is_refused(world: World) -> None:
    """A repeat that asks for something else is a mistake of the caller, not a decision."""
    world.decide(world.ask("r", "home_hero"))
    assert isinstance(world.refusal(world.ask("r", "home_row")), RequestIdReusedError)


def test_a_refusal_is_remembered_too(minimal: Catalog) -> None:
    """A retry of a fallback stays a fallback, even when the cap has opened meanwhile."""
    world = World(person_cap(minimal, 1, window_us=10 * MINUTE_US))
    world.person()
    world.decide(world.ask("first"))
    refused = world.decide(world.ask("second"))
    world.clock.advance(11 * MINUTE_US)
    assert Status.FALLBACK == refused.placements[0].status
    assert refused == world.decide(world.ask("second"))
    assert Status.OFFERED == world.decide(world.ask("third")).placements[0].status


def test_no_offer_stands_twice_on_a_page(world: World) -> None:
    """Placements are filled in order; what one has, the next does not repeat, and says why."""
    decision = world.decide(world.ask("r", "home_row", "home_hero", explain=Explain.OFFERS))
    row, hero = offers_of(decision)
    told = {e.reason: e.offers for e in decision.placements[1].exclusions}
    assert not set(row) & set(hero)
    assert set(row) == set(told[Reason.DUPLICATE])


def test_duplicates_are_given_to_those_who_want_them(minimal: Catalog) -> None:
    """With `allow_duplicates` the best offer may stand in both placements."""
    world = World(person_cap(minimal, 5))
    world.person()
    decision = world.decide(world.ask("r", "home_hero", "home_row", allow_duplicates=True))
    assert ["lawn-mower"] == offers_of(decision)[0]
    assert "lawn-mower" in offers_of(decision)[1]


def test_every_offer_is_shown_or_has_a_reason(world: World) -> None:
    """Counts of exclusions and offers shown add up to the catalog, whatever the level of explanation."""
    for level in Explain:
        decision = world.decide(world.ask(f"r{level}", "home_hero", "newsletter", explain=level))
        for placement in decision.placements:
            counted = sum(e.count for e in placement.exclusions) + len(placement.offers)
            assert len(world.catalog.offers) == counted


def test_a_cap_is_kept_over_one_batch_and_many(minimal: Catalog) -> None:
    """Ten requests of one person in one batch are decided one after the other, on what the earlier ones took."""
    world = World(person_cap(minimal, 3))
    world.person()
    answers = world.engine.decide([world.ask(f"r{i}") for i in range(10)])
    offered = [a for a in answers if isinstance(a, Decision) and a.placements[0].status is Status.OFFERED]
    late = world.decide(world.ask("late", explain=Explain.OFFERS))
    assert ["fetch", "commit"] * 2 == world.store.trips[-4:]
    assert 3 == len(offered) == len(world.contacts())
    assert ("week", Reason.CAP_PROFILE) in [(e.detail, e.reason) for e in late.placements[0].exclusions]


def test_a_cap_opens_again_when_its_window_has_passed(minimal: Catalog) -> None:
    """A rolling week is a week: one microsecond earlier there is still silence from us."""
    world = World(person_cap(minimal, 1))
    world.person()
    world.decide(world.ask("r1"))
    world.clock.advance(7 * DAY_US - 1)
    assert Status.FALLBACK == world.decide(world.ask("r2")).placements[0].status
    world.clock.advance(1)
    assert Status.OFFERED == world.decide(world.ask("r3")).placements[0].status


def test_several_offers_at_once_are_one_contact_of_the_person(minimal: Catalog) -> None:
    """A profile cap counts occasions: a row of three offers is one."""
    world = World(person_cap(minimal, 1))
    world.person()
    decision = world.decide(world.ask("r", "home_row"))
    assert len(offers_of(decision)[0]) > 1


def test_a_dry_run_counts_nothing_and_weighs_on_nobody(minimal: Catalog) -> None:
    """Trying a real customer consumes no cap, is not remembered, and does not see other dry runs."""
    world = World(person_cap(minimal, 1))
    world.person()
    answers = world.engine.decide([world.ask(f"r{i}", dry_run=True) for i in range(3)])
    assert [Status.OFFERED] * 3 == [a.placements[0].status for a in answers if isinstance(a, Decision)]
    assert ["fetch"] == world.store.trips[-1:]
    assert 0 == len(world.contacts())
    assert Status.OFFERED == world.decide(world.ask("r0")).placements[0].status


def test_what_is_worth_nothing_loses_to_silence(minimal: Catalog) -> None:
    """Where every contact costs more than it earns, nothing is said, and the page still gets its neutral content."""
    dear = tuple(replace(channel, contact_cost=1000.0) for channel in minimal.channels)
    world = World(replace(minimal, channels=dear, exploration=GREEDY))
    world.person()
    decision = world.decide(world.ask("r"))
    (placement,) = decision.placements
    assert Status.SILENCE == placement.status
    assert "content/hero/neutral" == placement.fallback
    assert 1.0 == placement.silence_propensity
    assert {Reason.BELOW_SILENCE} <= {e.reason for e in placement.exclusions}
    assert 0 == len(world.contacts())
    assert decision == world.decide(world.ask("r"))


def test_without_consent_nobody_is_contacted(world: World) -> None:
    """Strangers and people who refused get fallbacks on channels that need consent; nothing is degraded about it."""
    world.person("shy", consents=frozenset())
    stranger = (Identity("cookie", "unknown"),)
    for request in (world.ask("r1", profile_id="shy"), world.ask("r2", identities=stranger)):
        decision = world.decide(request)
        assert Status.FALLBACK == decision.placements[0].status
        assert Reason.NO_CONSENT in {e.reason for e in decision.placements[0].exclusions}
        assert not decision.degraded


def test_formal_people_are_never_addressed_informally(minimal: Catalog) -> None:
    """The lease may be renewed by formal mail; on the web there is only an informal text, and so there is none."""
    world = World(replace(minimal, exploration=GREEDY))
    lease = {"lease_end": world.clock.now_us() + 30 * DAY_US}
    world.person(address=Address.FORMAL, features=lease)
    decision = world.decide(world.ask("r", "newsletter", "home_hero", explain=Explain.OFFERS))
    (mail,) = [o for o in decision.placements[0].offers if o.offer == "lease-renewal"]
    refused = {e.reason: e.offers for e in decision.placements[1].exclusions}
    assert ("FORMAL", "lease-formal") == (mail.form_of_address, mail.treatment)
    assert ("lease-renewal",) == refused[Reason.FORM_OF_ADDRESS]


def test_fallbacks_of_many_are_each_ones_own(world: World) -> None:
    """Requests that were never decided get neutral content under their own ids, and the wrong ones their errors."""
    world.person()
    requests = [
        world.ask("r1", "home_hero", "home_row"),
        world.ask("r2", "nowhere"),
        world.ask("r" * 128, "home_hero", profile_id="é" * 64),
        world.ask("r4", "home_row", "home_hero", dry_run=True),
        world.ask("r5", "home_hero", "home_row"),
        world.ask("r6", "home_hero", identities=(Identity("cookie", "unknown"),)),
    ]

    engine = world.engine
    answers = engine.fallbacks(engine.codec.read(engine.force, requests), Cause.OVERLOAD, "too many")

    assert isinstance(answers.pop(1), InvalidRequestError)
    right = [request for request in requests if request.request_id != "r2"]
    for request, written in zip(right, answers, strict=True):
        assert isinstance(written, bytes)
        answer = engine.codec.decode(written)
        assert (decision_id(request.profile_id, request.request_id), request.request_id, request.profile_id) == (
            answer.decision_id,
            answer.request_id,
            answer.profile_id,
        )
        assert [ask.placement for ask in request.placements] == [p.placement for p in answer.placements]
        assert (request.dry_run, 0, (Degradation(Cause.OVERLOAD, "too many"),)) == (
            answer.dry_run,
            answer.attempts,
            answer.degradations,
        )
        assert {Status.FALLBACK, Status.EMPTY} >= {p.status for p in answer.placements}
    assert 0 == len(world.contacts())


def test_a_placement_without_fallback_is_empty(world: World) -> None:
    """Where nothing can be offered and there is no neutral content, the answer says so."""
    world.person("shy", consents=frozenset())
    assert Status.EMPTY == world.decide(world.ask("r", "home_row", profile_id="shy")).placements[0].status


def test_a_better_moment_elsewhere_is_advised(minimal: Catalog) -> None:
    """The page can only deliver `now`; the answer names the later slot that would be worth more, and holds nothing."""
    world = World(replace(minimal, exploration=GREEDY))
    world.person()
    decision = world.decide(world.ask("r", "home_hero"))
    advice = decision.placements[0].next_moment
    assert advice is not None
    assert "weekend" == advice.timing.slot
    assert advice.total > decision.placements[0].offers[0].score.total
    assert ["now"] == [o.timing.slot for o in decision.placements[0].offers]


def test_an_allowed_timing_binds(world: World) -> None:
    """A caller that allows only tonight gets no other slot, and no advice for one."""
    decision = world.decide(world.ask("r", "newsletter", timings=("tonight",)))
    placement = decision.placements[0]
    assert {"tonight"} == {offer.timing.slot for offer in placement.offers} or placement.status is Status.SILENCE
    assert placement.next_moment is None


def test_wrong_requests_are_refused_alone(world: World) -> None:
    """Each refusal names every wrong field; the rest of the batch is untouched."""
    many = tuple(PlacementAsk("home_hero") for _ in range(10_000))
    asked = [
        world.ask("unknown", "home_herro"),
        world.ask("wrong", context={"basket_value": "much", "channel": "web", "pag": "home"}),
        replace(world.ask("many"), placements=many),
        world.ask("", identities=(Identity("cookie", "c"),), timings=("yesterday",)),
        world.ask("right"),
    ]
    answers = world.engine.decide(asked)
    fields = [[v.field for v in a.violations] if isinstance(a, InvalidRequestError) else [] for a in answers]
    assert [
        ["placements[0].placement"],
        ['context["basket_value"]', 'context["channel"]', 'context["pag"]'],
        ["placements"],
        ["request_id", "timings[0]"],
        [],
    ] == fields
    assert "did you mean 'home_hero'?" in str(answers[0])
    assert isinstance(answers[4], Decision)
    assert not answers[4].degraded


def test_a_store_that_cannot_be_reached_contacts_nobody(world: World) -> None:
    """The page gets its fallback, flagged; a repeat after recovery is decided anew."""

    def down() -> None:
        raise StoreError("connection refused")

    world.store.on_fetch = down
    decision = world.decide(world.ask("r", "home_hero", "home_row"))
    assert [Status.FALLBACK, Status.EMPTY] == [p.status for p in decision.placements]
    assert [Cause.STORE] == causes(decision)
    world.store.on_fetch = lambda: None
    assert Status.OFFERED == world.decide(world.ask("r", "home_hero", "home_row")).placements[0].status


def test_a_reply_lost_after_its_commit_is_one_contact_and_one_answer(world: World) -> None:
    """The contact was counted, the caller was told a fallback; the repeat finds what was decided."""

    def lost() -> None:
        raise StoreError("timed out")

    world.store.after_commit = lost
    first = world.decide(world.ask("r"))
    world.store.after_commit = lambda: None
    again = world.decide(world.ask("r"))
    assert [Cause.STORE] == causes(first)
    assert Status.OFFERED == again.placements[0].status
    assert again == world.decide(world.ask("r"))
    assert 1 == len(world.contacts())


def test_a_store_without_its_marker_contacts_nobody(world: World) -> None:
    """A store that came back empty is seen, and fails closed."""
    world.store.marked = False
    assert [Cause.STORE] == causes(world.decide(world.ask("r")))
    assert 0 == len(world.contacts())


def test_a_corrupt_profile_is_a_stranger(world: World) -> None:
    """One damaged record degrades its own answer only."""
    world.store.records["broken"] = world.store.records["p"][:-1]
    broken, whole = world.engine.decide([world.ask("r1", profile_id="broken"), world.ask("r2")])
    assert isinstance(broken, Decision)
    assert isinstance(whole, Decision)
    assert [Cause.PROFILE] == causes(broken)
    assert broken.anonymous
    assert Status.FALLBACK == broken.placements[0].status
    assert Status.OFFERED == whole.placements[0].status
    assert not whole.degraded


def test_a_ledger_that_cannot_be_read_contacts_nobody(world: World) -> None:
    """What cannot be checked is not said; others in the batch are served."""
    world.person("q")
    world.store.ledgers[person_address("p")] = b"short"
    broken, whole = world.engine.decide([world.ask("r1"), world.ask("r2", profile_id="q")])
    assert isinstance(broken, Decision)
    assert isinstance(whole, Decision)
    assert [Cause.STORE] == causes(broken)
    assert Status.OFFERED == whole.placements[0].status


def test_a_model_that_fails_leaves_policy_in_force(minimal: Catalog) -> None:
    """The prior stands in, flagged; the contact counts, and a repeat does not make another."""
    world = World(person_cap(minimal, 1), scorer=TellingScorer(minimal, failing=True))
    world.person()
    first = world.decide(world.ask("r1"))
    assert [Cause.MODEL] == causes(first)
    assert Status.OFFERED == first.placements[0].status
    assert "prior/0.01" == first.versions.model
    assert first == world.decide(world.ask("r1"))
    assert Status.FALLBACK == world.decide(world.ask("r2")).placements[0].status


def test_a_spent_budget_contacts_nobody(world: World) -> None:
    """Before the work as well as before the commit, who waits no longer is not contacted."""
    spent = world.ask("r1", deadline_us=world.clock.monotonic_us())
    soon = world.ask("r2", deadline_us=world.clock.monotonic_us() + SECOND_US)
    world.store.on_fetch = lambda: world.clock.advance(2 * SECOND_US)
    answers = world.engine.decide([spent, soon, world.ask("r3")])
    assert [[Cause.DEADLINE], [Cause.DEADLINE], []] == [causes(a) for a in answers if isinstance(a, Decision)]
    assert {"fetch", "commit"} == set(world.store.trips)
    world.store.on_fetch = lambda: None
    assert len({int(d) for d in world.contacts()["decision"]}) == 1


def test_a_lost_race_is_decided_again_on_the_new_ledger(minimal: Catalog) -> None:
    """Another replica takes the last contact in between: the answer is a refusal that the cap justifies."""
    world = World(person_cap(minimal, 1))
    world.person()
    other = world.replica()
    world.before_one_commit(lambda: other.decide([world.ask("theirs")]))
    mine = world.decide(world.ask("mine"))
    assert 2 == mine.attempts
    assert Status.FALLBACK == mine.placements[0].status
    assert not mine.degraded
    assert 1 == len(world.contacts())


def test_room_in_every_cap_saves_the_race(minimal: Catalog) -> None:
    """Where others leave room enough, a ledger that moved on is no conflict."""
    world = World(person_cap(minimal, 10))
    world.person()
    other = world.replica()
    world.before_one_commit(lambda: other.decide([world.ask("theirs")]))
    assert 1 == world.decide(world.ask("mine")).attempts
    assert 2 == len(world.contacts())


@pytest.mark.parametrize("order", sorted(set(itertools.permutations("aaabbb"))), ids="".join)
def test_batches_that_overlap_take_turns_at_a_cap(minimal: Catalog, order: tuple[str, ...]) -> None:
    """However the steps of two batches for one person fall, one of them gets the last contact, as between replicas."""
    world = World(person_cap(minimal, 1))
    world.person()
    engine = world.engine
    steps = {
        name: engine.answering(engine.codec.read(engine.force, [world.ask(name), world.ask(f"{name} again")]))
        for name in "ab"
    }
    answers: list[bytes | TaktError] = []
    for name in order:
        try:
            next(steps[name])
        except StopIteration as end:
            answers += end.value
    for left in steps.values():
        answers += finished(left) or []
    decisions = [engine.codec.decode(answer) for answer in answers if isinstance(answer, bytes)]
    statuses = [decision.placements[0].status for decision in decisions]
    assert (1, 3) == (statuses.count(Status.OFFERED), statuses.count(Status.FALLBACK))
    assert not any(decision.degraded for decision in decisions)
    assert 1 == len(world.contacts())


def test_a_person_who_is_contacted_at_every_attempt_gets_a_fallback(minimal: Catalog) -> None:
    """After four lost races the answer is CONTENTION, which is not final."""
    world = World(minimal)
    world.person()
    zones = itertools.cycle(["America/New_York", "Europe/Berlin"])

    def moves() -> None:
        assert [PutOutcome.UPDATED] == [
            r.outcome for r in world.profiles().put([ProfilePut("p", time_zone=next(zones))])
        ]

    world.store.before_commit = moves
    decision = world.decide(world.ask("r"))
    assert [Cause.CONTENTION] == causes(decision)
    assert 4 == decision.attempts
    world.store.before_commit = lambda: None
    assert Status.OFFERED == world.decide(world.ask("r")).placements[0].status


def test_a_repeat_within_a_batch_shares_the_answer(world: World) -> None:
    """The same id twice in one batch is one decision; with another request it is refused."""
    one, two, other = world.engine.decide([world.ask("r"), world.ask("r"), world.ask("r", "home_row")])
    assert one == two
    assert isinstance(other, RequestIdReusedError)
    assert 1 == len(world.contacts())


def test_company_does_not_change_a_decision(world: World) -> None:
    """A batch of many people gives each what they get alone."""
    people = [world.person(f"p{i}", features={"recency_days": float(i), "visits_30d": i}) for i in range(8)]
    asked = [world.ask(f"r{p}", "home_hero", "home_row", "newsletter", profile_id=p, dry_run=True) for p in people]
    assert world.engine.decide(asked) == [world.decide(request) for request in asked]


def test_confirmed_and_released_holds_count_as_they_should(minimal: Catalog) -> None:
    """A hold counts until it expires, a confirmed one for good, a released one no more."""
    world = World(person_cap(minimal, 1, counts=Counts.IMPRESSION))
    world.person()
    first = world.decide(world.ask("r1"))
    assert Status.FALLBACK == world.decide(world.ask("r2")).placements[0].status
    gone = FeedbackEvent("e1", "not_shown", decision_id=first.decision_id)
    assert [FeedbackOutcome.APPLIED] == [o.outcome for o in world.feedback().record([gone])]
    second = world.decide(world.ask("r3"))
    shown = FeedbackEvent("e2", "impression", decision_id=second.decision_id, profile_id="p")
    outcomes = world.feedback().record([shown, shown])
    world.clock.advance(DAY_US)
    assert [FeedbackOutcome.APPLIED, FeedbackOutcome.DUPLICATE] == [o.outcome for o in outcomes]
    assert Status.OFFERED == second.placements[0].status
    assert Status.FALLBACK == world.decide(world.ask("r4")).placements[0].status
    assert [EntryState.RELEASED, EntryState.SHOWN] == list(world.contacts()["state"])


def test_a_rejected_offer_is_not_shown_again(minimal: Catalog) -> None:
    """A declared negative response suppresses the offer for its time, and the answer says so."""
    world = World(replace(minimal, caps=(), exploration=GREEDY))
    world.person()
    first = world.decide(world.ask("r1"))
    rejected = first.placements[0].offers[0].offer
    world.feedback().record([FeedbackEvent("e", "reject", decision_id=first.decision_id, offer=rejected)])
    second = world.decide(world.ask("r2", explain=Explain.OFFERS))
    told = {e.reason: e.offers for e in second.placements[0].exclusions}
    assert (rejected,) == told[Reason.SUPPRESSED]
    world.clock.advance(31 * DAY_US)
    assert rejected in offers_of(world.decide(world.ask("r3")))[0]


@pytest.mark.parametrize("rule", ["greedy", "epsilon", "softmax", "squarecb"])
def test_logged_propensities_are_the_probabilities_of_selection(minimal: Catalog, rule: str) -> None:
    """Over many requests, E[1{A = a} / p] is 1 for silence and every offer of the first slot, within four errors."""
    exploration = Exploration(
        rule=rule, epsilon=0.4, temperature=4.0, gamma=1.0, silence_floor=0.1, arm_rule="epsilon", arm_epsilon=0.5
    )
    world = World(replace(minimal, exploration=exploration))
    world.person()
    n = 3_000
    weights: dict[str, list[float]] = {}
    for start in range(0, n, 100):
        asked = [world.ask(f"{rule}{i}", "home_hero", dry_run=True) for i in range(start, start + 100)]
        for answer in world.engine.decide(asked):
            assert isinstance(answer, Decision)
            (placement,) = answer.placements
            if placement.offers:
                offer = placement.offers[0]
                key, p = f"{offer.offer}/{offer.tonality}", offer.offer_propensity * offer.arm_propensity
            else:
                key, p = "silence", placement.silence_propensity
            weights.setdefault(key, []).append(1.0 / p)
    assert len(weights) >= 3
    for key, found in weights.items():
        total, squares = sum(found) / n, sum(w * w for w in found) / n
        assert abs(total - 1.0) <= 4.0 * ((squares - total**2) / n) ** 0.5 + 1e-9, key


def test_the_kernel_was_compiled_once(world: World) -> None:
    """Whatever was asked, the arrays at the kernel's door are of the same types: nothing compiles in mid-request."""
    world.decide(world.ask("r1", "home_hero", "newsletter"))
    world.engine.decide([world.ask(f"r{i}", dry_run=bool(i % 2)) for i in range(2, 9)])
    assert 1 == len(select.compiled.signatures)  # type: ignore[attr-defined]


def test_an_offer_is_not_put_off_beyond_its_validity(minimal: Catalog) -> None:
    """What ends on Friday is not promised for the weekend, and not advised for it either."""
    friday = MONDAY_NOON_US + 4 * DAY_US
    ends = np.full(len(minimal.offers), friday, np.int64)
    world = World(replace(minimal, exploration=GREEDY, valid_until_us=ends))
    world.person()
    decision = world.decide(world.ask("r", "newsletter", "home_hero"))
    assert {"tomorrow_morning"} == {offer.timing.slot for offer in decision.placements[0].offers}
    assert decision.placements[1].next_moment is not None
    assert "tomorrow_morning" == decision.placements[1].next_moment.timing.slot
    late = world.decide(world.ask("late", "newsletter", timings=("weekend",)))
    assert Reason.TIMING_PASSED in {e.reason for e in late.placements[0].exclusions}
