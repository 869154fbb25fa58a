"""Contacts that lapsed make room where there is none, and nobody is contacted on what they can no longer tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from takt.catalog.snapshot import Calendar, Cap, Channel, Counts, Exploration, Pressure
from takt.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from takt.domain.decision import decision_id, person_address
from takt.domain.feedback import FeedbackEvent, FeedbackOutcome
from takt.domain.ledger import EntryState, code16
from takt.domain.reasons import Reason
from takt.memory.ledger import Ledger, LedgerEntry
from tests.unit.engine.conftest import MONDAY_NOON_US, World, offers_of

if TYPE_CHECKING:
    from takt.catalog.snapshot import Catalog
    from takt.domain.decision import Decision

NOW_US = MONDAY_NOON_US
GREEDY = Exploration(rule="greedy", silence_floor=0.0, arm_rule="greedy")


def shop(minimal: Catalog, *counted: Counts, **changes: object) -> Catalog:
    """The small shop without chance and gaps, and with a cap on a person's week for each event that is counted."""
    week = next(cap for cap in minimal.caps if cap.id == "person-week")
    caps = tuple(replace(week, id=f"week-{counts.name}", limit=3, counts=counts) for counts in counted)
    channels = tuple(replace(channel, gap_us=0) for channel in minimal.channels)
    return replace(minimal, caps=caps, channels=channels, exploration=GREEDY, **changes)  # type: ignore[arg-type]


def peopled(catalog: Catalog) -> World:
    """A world with somebody called `p`."""
    world = World(catalog)
    world.person()
    return world


def turned(world: World, catalog: Catalog) -> None:
    """Another catalog comes into force."""
    world.catalog = catalog
    world.engine = world.replica()


def remembered(world: World, count: int, age_us: int, state: EntryState = EntryState.HELD) -> None:
    """Let a ledger hold nothing but contacts of one age, held for 45 minutes each."""
    entry = LedgerEntry(
        time_us=world.clock.now_us() - age_us,
        decision=1,
        expiry_s=45 * 60,
        offer=1,
        group=0,
        channel=code16("web"),
        placement=code16("home_hero"),
        state=state,
        origin=0,
    )
    entries = tuple(replace(entry, decision=n + 1) for n in range(count))
    world.store.ledgers[person_address("p")] = Ledger(appends=count, entries=entries).pack()


def ledger(world: World) -> Ledger:
    """The ledger of `p`."""
    return Ledger.parse(world.store.ledgers[person_address("p")])


def reasons(decision: Decision) -> set[Reason]:
    """Why the offers that could be had are not."""
    (placement,) = decision.placements
    return {exclusion.reason for exclusion in placement.exclusions} & {Reason.LEDGER_FULL, Reason.CAP_PROFILE}


@pytest.mark.parametrize("state", [EntryState.HELD, EntryState.RELEASED])
def test_lapsed_contacts_do_not_fill_a_ledger(minimal: Catalog, state: EntryState) -> None:
    """With as many as it holds, of which none counts, the next contact is made, and those behind it."""
    world = peopled(shop(minimal, Counts.IMPRESSION, max_entries=512))
    remembered(world, 512, 3 * DAY_US, state)

    for n in range(3):
        assert [[]] != offers_of(world.decide(world.ask(f"r{n}")))

    assert (3, (NOW_US - 2 * DAY_US) // SECOND_US) == (len(ledger(world).entries), ledger(world).lapsed_before_s)


def test_contacts_that_count_do_fill_a_ledger(minimal: Catalog) -> None:
    """Confirmed ones are kept for as long as declared, whatever caps there are."""
    world = peopled(shop(minimal, max_entries=512))
    remembered(world, 512, 30 * DAY_US, EntryState.SHOWN)
    before = ledger(world)

    decision = world.decide(world.ask("r"))

    assert ([[]], {Reason.LEDGER_FULL}) == (offers_of(decision), reasons(decision))
    assert before == ledger(world)


def test_a_customer_who_never_confirms_is_served_for_good(minimal: Catalog) -> None:
    """Six contacts a day in a ledger of sixteen: it stays that small, and a confirmation within a day counts."""
    world = peopled(shop(minimal, Counts.IMPRESSION, max_entries=16, late_us=DAY_US))
    for n in range(60):
        decision = world.decide(world.ask(f"r{n}"))
        assert [[]] != offers_of(decision), n
        assert 16 >= len(ledger(world).entries)
        world.clock.advance(4 * HOUR_US)

    told = [FeedbackEvent(f"e{n}", "impression", decision_id=decision_id("p", f"r{n}")) for n in (59, 55, 1)]
    outcomes = [result.outcome for result in world.feedback().record(told)]
    assert [FeedbackOutcome.LATE, FeedbackOutcome.LATE, FeedbackOutcome.ORPHAN] == outcomes


@pytest.mark.parametrize(
    ("age_us", "full"), [(2 * DAY_US + 45 * MINUTE_US, True), (2 * DAY_US + 46 * MINUTE_US, False)]
)
def test_lapsed_contacts_can_be_confirmed_for_a_while(minimal: Catalog, age_us: int, full: bool) -> None:
    """For `ledger.late` after the end of their hold they stay, if nobody else can be contacted for it."""
    world = peopled(shop(minimal, max_entries=8))
    remembered(world, 8, age_us)

    assert ({Reason.LEDGER_FULL} if full else set()) == reasons(world.decide(world.ask("r")))


def test_what_a_cap_on_decisions_counts_stays(minimal: Catalog) -> None:
    """As long as its window is, lapsed contacts are not dropped, and the cap refuses."""
    world = peopled(shop(minimal, Counts.DECISION, max_entries=8))
    remembered(world, 8, 6 * DAY_US)
    assert {Reason.LEDGER_FULL} == reasons(world.decide(world.ask("r1")))

    world.clock.advance(DAY_US + HOUR_US)
    assert {Reason.LEDGER_FULL} == reasons(world.decide(world.ask("r2")))

    world.clock.advance(DAY_US)
    assert [[]] != offers_of(world.decide(world.ask("r3")))


def test_a_longer_look_back_than_contacts_are_known_for_refuses(minimal: Catalog) -> None:
    """A cap on decisions that comes in later counts on contacts that may be gone: nobody of whom it is so is contacted.

    Until what was dropped is out of the window; whose ledger never had to drop any is served as ever.
    """
    before, after = shop(minimal, Counts.IMPRESSION, max_entries=8), shop(minimal, Counts.DECISION, max_entries=8)
    world = peopled(before)
    remembered(world, 8, 3 * DAY_US)
    assert [[]] != offers_of(world.decide(world.ask("r1")))
    turned(world, after)

    assert {Reason.LEDGER_FULL} == reasons(world.decide(world.ask("r2")))
    world.clock.advance(5 * DAY_US)
    assert [[]] != offers_of(world.decide(world.ask("r3")))

    turned(world, before)
    remembered(world, 2, 3 * DAY_US)
    assert [[]] != offers_of(world.decide(world.ask("r4")))
    turned(world, after)
    assert {Reason.CAP_PROFILE} == reasons(world.decide(world.ask("r5")))


@pytest.mark.parametrize(
    ("changes", "kept_us"),
    [
        ({}, 2 * DAY_US),
        ({"late_us": 5 * DAY_US}, 5 * DAY_US),
        ({"gap_us": 3 * DAY_US}, 4 * DAY_US),
        ({"caps": [(7 * DAY_US, Calendar.ROLLING, Counts.IMPRESSION)]}, 2 * DAY_US),
        ({"caps": [(7 * DAY_US, Calendar.ROLLING, Counts.DECISION)]}, 8 * DAY_US),
        ({"caps": [(HOUR_US, Calendar.ROLLING, Counts.DECISION)]}, 2 * DAY_US),
        ({"caps": [(35 * DAY_US, Calendar.ROLLING, Counts.DECISION)]}, 35 * DAY_US),
        ({"caps": [(0, Calendar.DAY, Counts.DECISION)]}, 3 * DAY_US),
        ({"caps": [(0, Calendar.MONTH, Counts.DECISION)]}, 33 * DAY_US),
        ({"pressure": Pressure(0.1, 0.0, DAY_US)}, 35 * DAY_US),
        ({"pressure": Pressure(0.0, 0.1, DAY_US)}, 2 * DAY_US),
    ],
)
def test_lapsed_contacts_are_kept_as_long_as_anything_looks_back_on_them(
    minimal: Catalog, changes: dict[str, object], kept_us: int
) -> None:
    """Late confirmations, gaps and caps on decisions with a day to spare, and pressure for as long as it can."""
    catalog = shop(minimal)
    pressure = changes.pop("pressure", None)
    week = next(cap for cap in minimal.caps if cap.id == "person-week")
    caps: list[Cap] = [
        replace(week, window_us=window, calendar=calendar, counts=counts)
        for window, calendar, counts in changes.pop("caps", [])  # type: ignore[attr-defined]
    ]
    arbitration = replace(catalog.arbitration, pressure=pressure)  # type: ignore[arg-type]

    made = replace(catalog, caps=tuple(caps), arbitration=arbitration, **changes)  # type: ignore[arg-type]

    assert kept_us == made.lapsed_us


def test_gap_of_a_channel_is_looked_back_on(minimal: Catalog) -> None:
    """A hold that expired keeps others at a distance."""
    channels: tuple[Channel, ...] = tuple(replace(channel, gap_us=9 * DAY_US) for channel in minimal.channels)

    assert 10 * DAY_US == replace(shop(minimal), channels=channels).lapsed_us
