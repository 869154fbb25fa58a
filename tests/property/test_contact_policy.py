"""Random policies, clocks, zones, requests, feedback and races: the engine does what docs/contact-policy.md says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.clock import ManualClock
from tests.property.worlds import CHANNELS, DAY, EVENTS, MINUTE, OFFERS, PLACEMENTS, TIMINGS, ZONES, World
from tests.unit.policy.reference import Cap, Channel, Placement, Policy, Timing

SECOND = 1_000_000
HOUR = 60 * MINUTE


def us(text: str) -> int:
    """A moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


STARTS = [
    us("2026-11-23T11:00"),
    us("2026-03-28T22:00"),  # before Berlin's change in spring
    us("2026-10-24T21:30"),  # and in autumn
    us("2026-03-08T05:30"),  # New York's
    us("2026-11-01T03:30"),
    us("2026-04-04T14:00"),  # Lord Howe's
    us("2026-10-03T14:20"),
    us("2026-02-27T22:59"),
    us("2026-12-31T22:50"),
]
NAMES = {"channel": CHANNELS, "placement": tuple(PLACEMENTS), "group": ("clothes", "home"), "offer": tuple(OFFERS)}


def caps_of(scope: str) -> st.SearchStrategy[Cap]:
    """Caps of one scope."""
    names = NAMES.get(scope, ())
    some = st.frozensets(st.sampled_from(names), min_size=1) if names else st.just(frozenset())
    return st.builds(
        Cap,
        id=st.just(""),
        scope=st.just(scope),
        limit=st.integers(1, 3),
        window=st.sampled_from(["day", "week", "month", HOUR, 3 * HOUR, 12 * HOUR, DAY, 36 * HOUR, 7 * DAY, 35 * DAY]),
        zone=st.sampled_from(["customer", "customer", "project", "Asia/Kolkata"]),
        counts=st.sampled_from(["decision", "impression", "click"]),
        of=st.one_of(st.just(frozenset(names)), some),
    )


def named(caps: list[Cap]) -> tuple[Cap, ...]:
    """Caps with ids in their order."""
    return tuple(replace(cap, id=f"cap-{i}") for i, cap in enumerate(caps))


channel = st.builds(
    Channel,
    gap=st.sampled_from([0, 0, 30 * MINUTE, 5 * HOUR]),
    quiet=st.sampled_from([None, None, (120, 180), (21 * 60, 8 * 60)]),
)
slot = st.sampled_from(
    [
        Timing(18 * 60, 21 * 60),
        Timing(150, 360, day=1),
        Timing(0, 24 * 60, day=2),
        Timing(600, 1080, weekdays=(5, 6)),
        Timing(130, 140, day=1, weekdays=(6,)),
    ]
)


policies = st.builds(
    Policy,
    project_zone=st.sampled_from(ZONES),
    gap=st.sampled_from([0, 0, 0, 20 * MINUTE]),
    channels=st.fixed_dictionaries(dict.fromkeys(CHANNELS, channel)),
    timings=st.fixed_dictionaries({"now": st.just(Timing(lasts=15 * MINUTE)), "tonight": slot, "later": slot}),
    placements=st.fixed_dictionaries(
        {
            name: st.builds(
                Placement,
                channel=st.just(on),
                slots=st.just(slots),
                hold=st.sampled_from([SECOND, 30 * MINUTE, 2 * DAY]),
                timings=st.sampled_from([frozenset(TIMINGS), frozenset({"now"}), frozenset({"now", "tonight"})]),
            )
            for name, (on, slots) in PLACEMENTS.items()
        }
    ),
    offers=st.just(OFFERS),
    caps=st.lists(
        st.one_of([caps_of(scope) for scope in ("profile", "channel", "placement", "group", "offer")]), max_size=4
    ).map(named),
    max_entries=st.sampled_from([8, 8, 512]),
    keep=st.just(35 * DAY),
    late=st.sampled_from([DAY, DAY, 2 * DAY, 35 * DAY]),
)


people = st.sampled_from(["ann", "ann", "ben"])
quick = st.one_of(
    st.tuples(st.just("tell"), st.sampled_from(list(EVENTS)), st.integers(0, 3), st.sampled_from(["", "", *OFFERS])),
    st.tuples(st.just("move"), people, st.sampled_from(ZONES)),
    st.tuples(st.just("consent"), people, st.sampled_from(CHANNELS), st.sampled_from([True, True, False])),
    st.tuples(st.just("wait"), st.sampled_from([1, SECOND, 2 * SECOND, 5 * SECOND])),
)
placements = st.lists(st.sampled_from(list(PLACEMENTS)), min_size=1, max_size=3, unique=True)
timings = st.one_of(st.just([]), st.just(["now"]), st.lists(st.sampled_from(TIMINGS), min_size=1, unique=True))
request = st.tuples(placements, timings, st.sampled_from([False, False, False, True]))
ask = st.tuples(st.just("ask"), people, st.integers(0, 1), st.lists(request, min_size=1, max_size=2))
again = st.tuples(st.just("retry"), st.integers(0, 3), st.integers(0, 1), st.lists(request, max_size=1))
wait = st.tuples(
    st.just("wait"),
    st.sampled_from(
        [1, 15 * MINUTE, 45 * MINUTE, HOUR - 1, HOUR, 3 * HOUR, 12 * HOUR, DAY - 1, DAY, 6 * DAY, 25 * DAY]
    ),
)
race = st.tuples(st.just("race"), ask, st.lists(st.one_of(ask, quick), min_size=1, max_size=2))
repeat = st.tuples(st.just("tell again"), st.integers(0, 3))
steps = st.lists(st.one_of(ask, ask, ask, ask, race, race, wait, wait, quick, again, repeat), min_size=1, max_size=16)


def happen(world: World, step: tuple[Any, ...]) -> None:
    """Let one step happen to both."""
    match step:
        case "wait", by:
            world.clock.advance(by)
        case "tell", kind, which, offer:
            world.tell(kind, which, offer)
        case "tell again", which:
            world.tell_again(which)
        case "move", person, zone:
            world.move(person, zone)
        case "consent", person, name, given:
            world.consent(person, name, given)
        case "ask", person, engine, requests:
            world.decide(engine, [world.new(person, *asked) for asked in requests])
        case "retry", which, engine, more:
            known = world.retry(which)
            if known is not None:
                world.decide(engine, [known, *(world.new(known.profile_id, *asked) for asked in more)])
        case "race", ("ask", person, engine, requests), others:
            world.decide(
                engine,
                [world.new(person, *asked) for asked in requests],
                lambda: [happen(world, other) for other in others] and None,
            )


@pytest.mark.timeout(300)
@settings(max_examples=2000)
@given(policies, st.sampled_from(STARTS), st.integers(0, 59_999_999), steps)
def test_the_engine_does_what_the_policy_says(
    policy: Policy, start: int, into: int, history: list[tuple[Any, ...]]
) -> None:
    """Every offer on every placement has the reason that a slow reading gives it, and no grant exceeds a cap."""
    world = World(policy, ManualClock(start + into))
    for step in history:
        happen(world, step)
