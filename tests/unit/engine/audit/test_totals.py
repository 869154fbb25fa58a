"""Totals in an audit: what was spent by rights is no difference, and what was not is told by cap and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Counts
from takt.clock import DAY_US, MINUTE_US, SECOND_US
from takt.domain.audit import FindingKind
from takt.domain.contact import Person, Reset
from takt.domain.decision import person_address
from takt.domain.edition import Edition
from takt.domain.feedback import FeedbackEvent
from takt.engine.force import force
from tests.unit.engine.audit.test_audit import LOGIN, audited, auditor, contacts, finish
from tests.unit.engine.conftest import TellingScorer, World
from tests.unit.engine.test_link import named, shown_to
from tests.unit.engine.test_totals import budget, crowd, decide

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog


def happen(world: World, decision: str, kind: str) -> None:
    """Record an event about a decision."""
    world.feedback().record([FeedbackEvent(f"{decision}-{kind}", kind, decision_id=decision)])


def busy(world: World) -> None:
    """Contacts are confirmed, released, lapse, are confirmed late and taken out by hand, and the budget runs dry."""
    answers = [answer.decision_id for answer in decide(world, crowd(world, 20))]
    for decision in answers[:6]:
        happen(world, decision, "impression")
    for decision in answers[4:10]:
        happen(world, decision, "not_shown")
    happen(world, answers[9], "impression")  # late, after its token went back
    contacts(world).reset(Reset(person=Person("p1"), actor="anna", reason="a test"))
    world.clock.advance(120 * MINUTE_US)
    world.store.totals.sweep()
    happen(world, answers[12], "impression")  # late, after its hold had lapsed
    for since in (100, 120, 140):
        decide(world, crowd(world, 20, since=since))
        world.clock.advance(2 * SECOND_US)


def spent(world: World, by: int) -> None:
    """Change what a partition that has spent something says of it, past everything."""
    part = max(world.store.totals.parts, key=lambda part: sum(p.spent for p in part.book.pools.values()))
    ((name, pool),) = part.book.pools.items()
    part.book.pools[name] = replace(pool, spent=pool.spent + by)


@pytest.mark.parametrize("counts", list(Counts))
@pytest.mark.parametrize("calendar", [Calendar.MONTH, Calendar.EVER])
def test_what_was_spent_by_rights_is_no_difference(minimal: Catalog, counts: Counts, calendar: Calendar) -> None:
    """Whatever the cap counts, and however its contacts ended."""
    world = World(budget(minimal, 23, counts=counts, calendar=calendar))
    busy(world)

    found, summary = audited(world)

    assert [] == [one for one in found if one.kind is not FindingKind.LATE]
    assert (1, 0) == (summary.totals, summary.findings)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_token_that_nobody_took_or_that_nobody_counted_is_told(minimal: Catalog, by: int) -> None:
    """Exactly, where decisions are counted: with cap, window and both figures."""
    world = World(budget(minimal, 50))
    granted = sum(len(answer.placements[0].offers) for answer in decide(world, crowd(world, 12)))
    spent(world, by)

    (one,), summary = audited(world)

    assert (FindingKind.TOTAL_MISMATCH, "budget", granted + by, granted) == (one.kind, one.cap, one.counted, one.logged)
    assert "'budget' has spent" in one.message
    assert (1, 1) == (summary.totals, summary.findings)


def test_a_budget_of_impressions_is_held_between_what_was_confirmed_and_what_was_granted(minimal: Catalog) -> None:
    """A hold may go back at any moment, so that only what lies outside is a difference."""
    world = World(budget(minimal, 50, counts=Counts.IMPRESSION))
    answers = decide(world, crowd(world, 12))
    for answer in answers[:5]:
        happen(world, answer.decision_id, "impression")
    for by, differs in ((-2, False), (-10, True), (13, True)):
        spent(world, by)
        found, _ = audited(world)
        assert differs is bool(found), by


def test_what_an_earlier_catalog_granted_may_have_counted_or_not(minimal: Catalog) -> None:
    """The cap covers one offer only from now on: what it had spent on all before is no difference."""
    world = World(budget(minimal, 50))
    granted = sum(len(answer.placements[0].offers) for answer in decide(world, crowd(world, 12)))
    narrower = budget(minimal, 50, ["lawn-mower"])
    for number in (1, 2):
        edition = Edition(number, f"v{number}", "", "anna", "a test", keep_us=35 * DAY_US, kept_before_us=DAY_US)
        assert world.store.editions.announce(edition, ())
        world.store.editions.follow(b"0" * 16, number, number)

    world.engine.redeploy(force(narrower, TellingScorer(narrower), edition=2))

    assert ([], 1) == (audited(world)[0], audited(world)[1].totals)
    spent(world, 1)
    assert [(granted + 1, granted)] == [(one.counted, one.logged) for one in audited(world)[0]]


def test_a_part_of_the_store_says_nothing_of_totals(minimal: Catalog) -> None:
    """They are what everybody has taken together."""
    world = World(budget(minimal, 50))
    decide(world, crowd(world, 6))
    spent(world, 7)

    assert [0, 0, 0] == [
        audited(world, **given)[1].totals
        for given in ({"person": "p1"}, {"partitions": [0]}, {"since_us": world.clock.now_us() - DAY_US})
    ]


def test_a_catalog_that_comes_up_meanwhile_leaves_totals_out(minimal: Catalog) -> None:
    """Which contacts its caps cover is not known to who began before."""
    world = World(budget(minimal, 50))
    decide(world, crowd(world, 6))
    spent(world, 7)
    audit = auditor(world).begin()
    edition = Edition(1, "v1", "", "anna", "a test", keep_us=35 * DAY_US)
    assert world.store.editions.announce(edition, ())

    assert ([], 0) == (finish(audit)[0], finish(audit)[1].totals)


def test_an_edition_that_is_no_longer_in_the_history_leaves_totals_out(minimal: Catalog) -> None:
    """Since when it holds is not known."""
    world = World(budget(minimal, 50))
    decide(world, crowd(world, 6))
    spent(world, 7)
    world.engine.redeploy(force(world.catalog, TellingScorer(world.catalog), edition=3))

    found, summary = audited(world)

    assert ([], 0) == (found, summary.totals)


def test_who_is_merged_while_it_goes_on_is_not_counted_twice(minimal: Catalog) -> None:
    """Somebody was compared alone, and then became a part of somebody who was not yet: totals are left out."""
    world = World(budget(minimal, 50))
    places = {name: int.from_bytes(person_address(name)[:4], "little") % 64 for name in "ab"}
    first, second = sorted(places, key=places.__getitem__)
    assert places[first] < places[second]
    named(world, first, LOGIN)
    named(world, second)
    shown_to(world, "r", first)
    shown_to(world, "s", second)
    audit = auditor(world).begin()
    while audit.summary().profiles == 0:
        audit.step()
    world.profiles().link(second, [LOGIN])

    found, summary = finish(audit)

    assert ([], 0) == ([one for one in found if one.kind is FindingKind.TOTAL_MISMATCH], summary.totals)
