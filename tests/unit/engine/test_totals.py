"""Budgets across customers: never overspent, not stranded, and shared out before anything is drawn."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Counts, Exploration, Scope, Zone
from takt.clock import MINUTE_US, SECOND_US
from takt.domain.decision import Decision
from takt.domain.feedback import FeedbackEvent
from takt.domain.reasons import Reason, Status
from takt.domain.request import Explain
from takt.domain.totals import Book, Pool, debts_of, field_of
from takt.engine.force import force
from takt.engine.totals import keep_up
from takt.ports import Gift
from tests.unit.engine.conftest import TellingScorer, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.catalog.snapshot import Catalog
    from takt.domain.request import DecideRequest

GREEDY = Exploration(rule="greedy", silence_floor=0.001, arm_rule="greedy")


def budget(catalog: Catalog, limit: int, offers: Sequence[str] = (), **changes: Any) -> Catalog:
    """The catalog with one cap alone: so many contacts a month with whomever, over some offers or all."""
    fields: dict[str, Any] = {
        "id": "budget",
        "scope": Scope.TOTAL,
        "limit": limit,
        "window_us": 0,
        "calendar": Calendar.MONTH,
        "zone": Zone.PROJECT,
        "zone_name": "",
        "counts": Counts.DECISION,
        "keys": np.array([not offers or offer.id in offers for offer in catalog.offers]),
        "channels": np.ones(len(catalog.channels), np.bool_),
    }
    return replace(catalog, caps=(Cap(**(fields | changes)),), exploration=GREEDY)


def crowd(world: World, n: int, *placements: str, since: int = 0, **changes: Any) -> list[DecideRequest]:
    """One request each of so many people."""
    people = [world.person(f"p{i}") for i in range(since, since + n)]
    return [world.ask(f"r-{person}", *placements, profile_id=person, **changes) for person in people]


def decide(world: World, requests: Sequence[DecideRequest]) -> list[Decision]:
    """Answers, none of which may be refused or degraded."""
    answers = world.engine.decide(requests)
    found = [a for a in answers if isinstance(a, Decision) and not a.degraded]
    assert len(requests) == len(found)
    return found


def contacts(answers: Sequence[Decision]) -> int:
    """How many offers were given."""
    return sum(len(p.offers) for a in answers for p in a.placements)


def refused(answer: Decision) -> set[str]:
    """Ids of the totals that refused something."""
    return {e.detail for p in answer.placements for e in p.exclusions if e.reason is Reason.CAP_TOTAL}


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_a_budget_is_spent_to_the_last_and_not_beyond(minimal: Catalog, batch: int) -> None:
    """People of every partition ask, in batches of any size, until it is gone; then the cap says so by its name."""
    world = World(budget(minimal, 23))
    given = 0
    for since in range(0, 80, batch):
        given += contacts(decide(world, crowd(world, batch, since=since)))
        world.clock.advance(SECOND_US)
    assert 23 == given
    (last,) = decide(world, crowd(world, 1, since=1000))
    assert {"budget"} == refused(last)
    assert Status.FALLBACK == last.placements[0].status


def test_offers_that_it_does_not_cover_go_on(minimal: Catalog) -> None:
    """The best offer's budget is spent; then the next best is given."""
    world = World(budget(minimal, 1, ["lawn-mower"]))
    first, second = (decide(world, crowd(world, 1, since=n))[0].placements[0].offers[0].offer for n in range(2))
    assert "lawn-mower" == first != second


def test_every_offer_of_an_answer_takes_a_token(minimal: Catalog) -> None:
    """A page of several offers gets as many as there are tokens."""
    world = World(budget(minimal, 2))
    (answer,) = decide(world, crowd(world, 1, "home_hero", "home_row"))
    assert 2 == contacts([answer])


def test_what_was_released_can_be_given_to_another(minimal: Catalog) -> None:
    """An impression that did not happen costs nothing, a hold that expired neither, once it is swept."""
    world = World(budget(minimal, 1, counts=Counts.IMPRESSION))
    (first,) = decide(world, crowd(world, 1))
    world.feedback().record(
        [FeedbackEvent("e", "not_shown", decision_id=first.decision_id, profile_id=first.profile_id)]
    )
    given = [contacts(decide(world, crowd(world, 1, since=n))) for n in (1, 2)]
    world.clock.advance(120 * MINUTE_US)
    world.store.totals.sweep()
    given.append(contacts(decide(world, crowd(world, 1, since=3))))
    assert (1, [1, 0, 1]) == (contacts([first]), given)


def test_a_dry_run_takes_nothing(minimal: Catalog) -> None:
    """Looking costs no token, and moves none."""
    world = World(budget(minimal, 1))
    decide(world, crowd(world, 1))
    answers = decide(world, crowd(world, 3, since=5, dry_run=True))
    assert 0 == contacts(answers)
    assert 1 == sum(p.spent for book in world.store.totals.read() for p in book.pools.values())


def test_the_last_token_goes_to_whoever_commits_first(minimal: Catalog) -> None:
    """The other one is decided again, finds none, and is told so."""
    world = World(budget(minimal, 2))
    one = world.person("p0")
    asked = [world.ask(f"r{n}", profile_id=one) for n in range(3)]
    rival = world.replica()
    decide(world, [asked[0]])
    world.before_one_commit(lambda: rival.decide([asked[1]]))
    (answer,) = decide(world, [asked[2]])
    assert (2, {"budget"}, 0) == (answer.attempts, refused(answer), contacts([answer]))


@pytest.mark.parametrize(("limit", "more"), [(4, 0), (2, 0), (9, 4)])
def test_a_changed_limit_holds_at_once(minimal: Catalog, limit: int, more: int) -> None:
    """Also for what is spent already, and for tokens that lie about in other partitions."""
    world = World(budget(minimal, 50))
    given = contacts(decide(world, crowd(world, 5)))
    world.engine.redeploy(force(budget(minimal, limit), TellingScorer(minimal)))
    world.clock.advance(SECOND_US)
    after = 0
    for since in range(10, 50, 5):
        after += contacts(decide(world, crowd(world, 5, since=since)))
        world.clock.advance(SECOND_US)
    assert (5, more) == (given, after)


def test_a_deferred_contact_takes_from_the_window_of_its_moment(minimal: Catalog) -> None:
    """A day's budget is that of the day on which the contact is made."""
    timings = {timing.id: timing for timing in minimal.timings}
    assert "tomorrow_morning" in timings
    world = World(budget(minimal, 1, calendar=Calendar.DAY))
    tomorrow = crowd(world, 1, "newsletter", timings=("tomorrow_morning",))
    today = crowd(world, 1, since=1)
    both = [contacts(decide(world, asked)) for asked in (tomorrow, today)]
    assert [1, 1] == both
    ends = {p.ends_us for book in world.store.totals.read() for p in book.pools.values() if p.spent}
    assert 2 == len(ends)


def test_scarcity_does_not_bend_the_propensities(minimal: Catalog) -> None:
    """Whoever was left with an offer to be drawn has drawn it as often as was logged, silence included."""
    rule = Exploration(rule="epsilon", epsilon=0.5, silence_floor=0.1, arm_rule="epsilon", arm_epsilon=0.2)
    found: dict[str, list[float]] = defaultdict(list)
    for turn in range(24):
        world = World(replace(budget(minimal, 20, ["lawn-mower"]), exploration=rule))
        for since in range(0, 120, 40):
            asked = crowd(world, 40, since=1000 * turn + since, explain=Explain.FULL)
            for answer in decide(world, asked):
                (placement,) = answer.placements
                if not placement.candidates:
                    continue
                chosen = placement.offers[0].offer if placement.offers else ""
                chance = placement.offers[0].offer_propensity if placement.offers else placement.silence_propensity
                for name in ("", *(c.offer for c in placement.candidates)):
                    found[name].append(1.0 / chance if name == chosen else 0.0)
            world.clock.advance(SECOND_US)
    assert 24 * 120 == len(found[""]) > len(found["lawn-mower"]) > 100
    for weights in found.values():
        error = np.std(weights) / np.sqrt(len(weights))
        assert abs(np.mean(weights) - 1.0) < 3.0 * error


def test_upkeep_finishes_what_somebody_left(minimal: Catalog) -> None:
    """A replica that stops between giving and taking strands nothing: any other takes it in, once."""
    world = World(budget(minimal, 10, counts=Counts.IMPRESSION))
    decide(world, crowd(world, 1))
    totals, now_us = world.store.totals, world.clock.now_us()
    ((origin, name, pool),) = [
        (p, name, pool) for p, book in enumerate(totals.read()) for name, pool in book.pools.items() if pool.left > 1
    ]
    totals.give([Gift(name, origin, (origin + 1) % totals.partitions, 5, 10, pool.ends_us)])
    kept = [keep_up(world.engine.force, totals, now_us) for _ in range(2)]
    assert [5, 0] == [k.recovered for k in kept]
    assert [{"budget": 1}, {"budget": 1}] == [k.spent for k in kept]
    world.clock.advance(120 * MINUTE_US)
    assert 1 == keep_up(world.engine.force, totals, world.clock.now_us()).returned
    assert {"budget": 0} == keep_up(world.engine.force, totals, world.clock.now_us()).spent


def pool(allotted: int, spent: int, limit: int = 10) -> Pool:
    """A pool of a budget without an end."""
    return Pool(allotted, spent, limit, 0)


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([pool(5, 5), pool(5, 2)], []),
        ([pool(0, 4), pool(3, 0), pool(7, 2)], [(2, 0, 4)]),
        ([pool(0, 6), pool(3, 0), pool(7, 2)], [(2, 0, 5), (1, 0, 1)]),
        ([pool(0, 6), pool(0, 1), pool(7, 2)], [(2, 0, 5)]),
        ([pool(0, 6), pool(9, 0, limit=12)], []),
    ],
)
def test_who_has_tokens_pays_for_who_spent_too_many(pools: list[Pool], expected: list[tuple[int, int, int]]) -> None:
    """The fullest first, as far as there are any, and only in line with the same limit."""
    name = field_of("milk", 0)

    found = debts_of([Book({name: p}) for p in pools])

    assert [(name, *move, 10, 0) for move in expected] == found


def test_upkeep_settles_debts(minimal: Catalog) -> None:
    """A contact that counts without a token of its own is paid by another partition."""
    world = World(budget(minimal, 10))
    parts = world.store.totals.parts
    name = field_of("milk", 0)
    parts[0].book.pools[name] = pool(0, 3)
    parts[1].book.pools[name] = pool(10, 0)

    keep_up(world.engine.force, world.store.totals, world.clock.now_us())

    assert [(3, 3), (7, 0)] == [(p.book.pools[name].allotted, p.book.pools[name].spent) for p in parts[:2]]
