"""The engine at the moment in which another catalog comes into force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Counts, Exploration, Scope, Zone
from takt.clock import DAY_US
from takt.domain.reasons import Cause, Reason, Status
from takt.domain.request import PlacementAsk
from takt.engine.force import Force, force
from takt.errors import InvalidRequestError
from tests.unit.engine.conftest import TellingScorer, World

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.domain.decision import Decision


GREEDY = Exploration(rule="greedy", silence_floor=0.001, arm_rule="greedy")


def capped(catalog: Catalog, limit: int) -> Catalog:
    """The catalog with one cap: so many contacts of a person in a week."""
    cap = Cap(
        "week", Scope.PROFILE, limit, 7 * DAY_US, Calendar.ROLLING, Zone.CUSTOMER, "", Counts.DECISION, np.ones(1, bool)
    )
    return replace(catalog, version=f"limit {limit}", caps=(cap,), exploration=GREEDY)


def edition(catalog: Catalog, number: int) -> Force:
    """A catalog as the edition of a number."""
    return force(catalog, TellingScorer(catalog), edition=number)


@pytest.fixture
def one(minimal: Catalog) -> World:
    """A world under edition 1, which allows a hundred contacts; somebody called `p` had one."""
    made = World(capped(minimal, 100))
    made.engine.redeploy(edition(made.catalog, 1))
    made.person()
    assert [Status.OFFERED] == [p.status for p in made.decide(made.ask("before")).placements]
    made.store.trips.clear()
    return made


def others_turn(world: World, limit: int, number: int = 2) -> None:
    """Another replica puts a limit in force and commits something under it."""
    other = world.replica()
    other.redeploy(edition(capped(world.catalog, limit), number))
    other.decide([world.ask(f"other-{number}", profile_id=world.person("somebody else"))])


def reasons(decision: Decision) -> set[Reason]:
    """Why offers were left out."""
    return {exclusion.reason for placement in decision.placements for exclusion in placement.exclusions}


def test_a_lowered_cap_holds_for_what_was_under_way(one: World) -> None:
    """A decision that was made under a catalog which went out of force is made anew, under the one that came."""
    one.engine.prepare(edition(capped(one.catalog, 1), 2))
    one.before_one_commit(lambda: others_turn(one, 1))

    decision = one.decide(one.ask("r1"))

    assert ("limit 1", Reason.CAP_PROFILE in reasons(decision)) == (decision.versions.catalog, True)
    assert ["fetch", "commit"] * 3 == one.store.trips  # one pair is the other's
    assert 1 == len(one.contacts())
    assert 2 == one.engine.force.edition


def test_a_refusal_under_the_old_catalog_is_none(minimal: Catalog) -> None:
    """Who was refused under a cap that was raised meanwhile is decided for anew."""
    world = World(capped(minimal, 1))
    world.engine.redeploy(edition(world.catalog, 1))
    world.person()
    world.decide(world.ask("first"))
    world.engine.prepare(edition(capped(minimal, 100), 2))
    world.before_one_commit(lambda: others_turn(world, 100))

    decision = world.decide(world.ask("r1"))

    assert ("limit 100", Status.OFFERED) == (decision.versions.catalog, decision.placements[0].status)
    assert 2 == len(world.contacts())


def test_who_has_not_loaded_it_contacts_nobody(one: World) -> None:
    """Without the catalog that is in force pages get their fallbacks, and say why; the store is not asked in vain."""
    others_turn(one, 1)

    first, second = one.decide(one.ask("r1")), one.decide(one.ask("r2"))

    assert [[Cause.CATALOG]] * 2 == [[d.cause for d in decision.degradations] for decision in (first, second)]
    assert ["fetch", "commit"] * 2 == one.store.trips  # the other's, and the first in vain
    assert 1 == len(one.contacts())


def test_it_serves_again_once_it_has_loaded_it(one: World) -> None:
    """A replica that was behind needs no restart; the same request gets its answer."""
    others_turn(one, 100)
    one.decide(one.ask("r1"))
    one.engine.redeploy(edition(capped(one.catalog, 100), 2))

    assert ((), Status.OFFERED) == (
        (again := one.decide(one.ask("r1"))).degradations,
        again.placements[0].status,
    )


def test_what_is_prepared_waits_for_its_turn(one: World) -> None:
    """Nothing is decided by a catalog that is merely ready."""
    one.engine.prepare(edition(capped(one.catalog, 1), 2))

    assert ("limit 100", 1, 2) == (
        one.decide(one.ask("r1")).versions.catalog,
        one.engine.force.edition,
        one.engine.prepared,
    )


def test_a_placement_that_is_gone_is_refused(one: World) -> None:
    """A request is checked against the catalog that it is decided under."""
    smaller = capped(one.catalog, 100)
    gone = smaller.placements[0].id
    renamed = replace(smaller.placements[0], id="renamed")
    smaller = replace(smaller, placements=(renamed, *smaller.placements[1:]))
    one.engine.prepare(edition(smaller, 2))
    one.before_one_commit(lambda: others_turn(one, 100))

    wrong, right = one.engine.decide([one.ask("r1", gone), one.ask("r2", smaller.placements[1].id)])

    assert isinstance(wrong, InvalidRequestError)
    assert not isinstance(right, Exception)
    assert smaller.version == right.versions.catalog


def test_repeats_in_a_batch_share_the_new_answer(one: World) -> None:
    """Twins stay twins when they are decided anew."""
    one.engine.prepare(edition(capped(one.catalog, 100), 2))
    one.before_one_commit(lambda: others_turn(one, 100))
    ask = one.ask("r1")

    first, second = one.engine.decide([ask, replace(ask, placements=(PlacementAsk("home_hero"),))])

    assert first == second
    assert 2 == len(one.contacts())
