"""Contacts as people see and correct them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from takt.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from takt.decisionlog.codec import ProtobufCodec
from takt.domain.contact import BackfillOutcome, CapState, ContactState, OutsideContact, Person, Reset
from takt.domain.decision import person_address
from takt.domain.feedback import FeedbackEvent
from takt.domain.merge import MergeStep
from takt.domain.reasons import Reason
from takt.domain.request import Identity
from takt.engine.contacts import Contacts
from takt.errors import InvalidRequestError, NotFoundError, RecordError
from takt.identity import anonymous_id
from takt.memory.ledger import Ledger
from takt.v1 import log_pb2
from tests.unit.engine.conftest import MONDAY_NOON_US, World, offers_of

if TYPE_CHECKING:
    from takt.domain.decision import Decision

NOW_US = MONDAY_NOON_US
P = Person("p")
HOLD_ENDS_US = NOW_US + 45 * MINUTE_US
"""The moment lasts for 15 minutes, the hold for 30 after it."""


def contacts(world: World) -> Contacts:
    """The contacts of this engine."""
    return Contacts(world.engine, world.store, ProtobufCodec(64))


def offered(world: World, request_id: str, placement: str = "home_hero") -> Decision:
    """A decision that made a contact, whatever the draw."""
    for n in range(50):
        decision = world.decide(world.ask(f"{request_id}-{n}", placement))
        if offers_of(decision)[0]:
            return decision
    raise AssertionError("nothing but silence")


def outside(contact_id: str = "c1", **changes: Any) -> OutsideContact:
    """An e-mail that was sent an hour ago by somebody else."""
    fields: dict[str, Any] = {"person": P, "counted_us": NOW_US - HOUR_US, "channel": "email"}
    return OutsideContact(contact_id=contact_id, **(fields | changes))


def reset(**changes: Any) -> Reset:
    """A reset of all contacts of `p`."""
    return Reset(**({"person": P, "actor": "anna", "reason": "a test went live"} | changes))


def backfilled(world: World, *those: OutsideContact) -> list[BackfillOutcome]:
    """What became of contacts from outside."""
    results = contacts(world).backfill(those, actor="anna", reason="import")
    assert [contact.contact_id for contact in those] == [result.contact_id for result in results]
    return [result.outcome for result in results]


def cap(world: World, name: str, subject: str = "") -> CapState:
    """How one cap stands for `p`."""
    return next(c for c in contacts(world).view(P).caps if (c.cap, c.subject) == (name, subject))


def test_a_decision_is_listed_as_a_hold(world: World) -> None:
    """What was decided comes back with its names, its id and the end of its hold."""
    decision = offered(world, "r")
    offer = decision.placements[0].offers[0]

    view = contacts(world).view(P)

    (contact,) = view.contacts
    assert (decision.decision_id, offer.offer, "web", "home_hero") == (
        contact.decision_id,
        contact.offer,
        contact.channel,
        contact.placement,
    )
    assert (ContactState.HELD, NOW_US, HOLD_ENDS_US) == (
        contact.state,
        contact.counted_us,
        contact.hold_expires_us,
    )
    assert ("p", NOW_US) == (view.profile_id, view.as_of_us)


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        (["impression"], ContactState.CONFIRMED),
        (["wait"], ContactState.EXPIRED),
        (["wait", "impression"], ContactState.LATE),
        (["wait", "impression", "click"], ContactState.LATE),
    ],
)
def test_state_of_a_contact_is_told(world: World, happens: list[str], state: ContactState) -> None:
    """Confirmed, expired, and confirmed after it had expired are different things."""
    decision = offered(world, "r")
    for n, what in enumerate(happens):
        if what == "wait":
            world.clock.advance(HOUR_US)
        else:
            world.feedback().record([FeedbackEvent(f"e{n}", what, decision_id=decision.decision_id)])

    assert [state] == [contact.state for contact in contacts(world).view(P).contacts]


def test_next_contact_is_told_per_cap(world: World) -> None:
    """A full cap says when it has room again: after the hold, after the week, at the next midnight."""
    for n in range(2):
        offered(world, f"r{n}")

    assert ("PLACEMENT", 2, 2, 2, HOLD_ENDS_US) == (
        cap(world, "hero-day", "home_hero").scope,
        cap(world, "hero-day", "home_hero").limit,
        cap(world, "hero-day", "home_hero").counted,
        cap(world, "hero-day", "home_hero").held,
        cap(world, "hero-day", "home_hero").next_us,
    )
    assert (2, 0, 0) == (
        cap(world, "person-week").counted,
        cap(world, "person-week").held,
        cap(world, "person-week").next_us,
    )
    offer = contacts(world).view(P).contacts[0].offer
    assert NOW_US + 7 * DAY_US == cap(world, "offer-week", offer).next_us
    assert (NOW_US - 12 * HOUR_US, NOW_US + 12 * HOUR_US) == (
        cap(world, "web-day", "web").start_us,
        cap(world, "web-day", "web").end_us,
    )


def test_what_the_list_says_is_what_the_engine_does(world: World) -> None:
    """A placement that is full until a moment is refused before it and filled from it on."""
    for n in range(2):
        offered(world, f"r{n}")
    moment_us = cap(world, "hero-day", "home_hero").next_us

    world.clock.at_us = moment_us - 1
    (full,) = world.decide(world.ask("x")).placements
    assert {Reason.CAP_PLACEMENT} <= {exclusion.reason for exclusion in full.exclusions}
    world.clock.at_us = moment_us
    offered(world, "y")


def test_list_is_cut_to_a_span_and_caps_are_not(world: World) -> None:
    """The span says which contacts are shown; what counts does not depend on it."""
    backfilled(world, outside("old", counted_us=NOW_US - DAY_US), outside("new"))
    view = contacts(world).view(P, since_us=NOW_US - 2 * HOUR_US, until_us=NOW_US)

    assert [NOW_US - HOUR_US] == [contact.counted_us for contact in view.contacts]
    assert [] == list(contacts(world).view(P, until_us=NOW_US - DAY_US).contacts)
    assert 2 == cap(world, "person-week").counted


def test_suppressions_are_listed_while_they_last(world: World) -> None:
    """Offer or group, with its end, and not after it."""
    events = [FeedbackEvent("a", "reject", profile_id="p", offer="toy-train", occurred_at_us=NOW_US)]
    events += [FeedbackEvent("b", "complaint", profile_id="p", offer="tea-towel", occurred_at_us=NOW_US)]
    world.feedback().record(events)

    first, second = contacts(world).view(P).suppressions
    assert ("toy-train", "", NOW_US + 30 * DAY_US) == (first.offer, first.group, first.until_us)
    assert ("", "kitchen", 0) == (second.offer, second.group, second.until_us)
    world.clock.advance(30 * DAY_US)
    assert ["kitchen"] == [s.group for s in contacts(world).view(P).suppressions]


def test_unknown_people_and_broken_ledgers(world: World) -> None:
    """Nobody is not the same as nothing."""
    with pytest.raises(NotFoundError):
        contacts(world).view(Person("nobody"))
    with pytest.raises(NotFoundError):
        contacts(world).reset(reset(person=Person(identity=Identity("cookie", "x"))))
    offered(world, "r")
    world.store.ledgers = dict.fromkeys(world.store.ledgers, b"broken")
    with pytest.raises(RecordError):
        contacts(world).view(P)
    assert [BackfillOutcome.REJECTED] == backfilled(world, outside())


def test_contacts_of_a_merged_person_are_found(world: World) -> None:
    """The id of a profile that was merged leads to the one that has its contacts now."""
    world.person("q")
    backfilled(world, outside(person=Person("q")))
    merging = world.store.merging
    assert MergeStep.DONE is merging.expect("p", "q")
    _, estate = merging.seal("q", "p")
    assert estate is not None
    assert [BackfillOutcome.UNAVAILABLE] == backfilled(world, outside("busy"))
    merging.absorb("p", "q", estate=estate, record=None, expected=None)
    merging.close("q", "p")

    view = contacts(world).view(Person("q"))
    assert ("p", 1) == (view.profile_id, len(view.contacts))


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, []),
        ({"channel": "email"}, ["old", "web"]),
        ({"offer": "tea-towel"}, ["old", "mail"]),
        ({"group": "kitchen"}, ["old", "mail"]),
        ({"since_us": NOW_US - HOUR_US}, ["old"]),
        ({"before_us": NOW_US - HOUR_US}, ["mail", "web"]),
        ({"channel": "email", "offer": "tea-towel"}, ["old", "mail", "web"]),
    ],
)
def test_reset_takes_what_its_filters_say(world: World, filters: dict[str, Any], left: list[str]) -> None:
    """Filters that are given must all hold; what goes no longer counts, suppressions stay."""
    times = {"old": NOW_US - DAY_US, "mail": NOW_US - HOUR_US, "web": NOW_US - HOUR_US + 1}
    made = [
        outside("old", counted_us=times["old"], channel="web"),
        outside("mail", counted_us=times["mail"]),
        outside("web", counted_us=times["web"], channel="web", offer="tea-towel"),
    ]
    assert [BackfillOutcome.ADDED] * 3 == backfilled(world, *made)
    world.feedback().record([FeedbackEvent("b", "complaint", profile_id="p", offer="toy-train")])

    result = contacts(world).reset(reset(**filters))

    view = contacts(world).view(P)
    assert (3 - len(left), NOW_US) == (result.removed, result.reset_us)
    assert sorted(times[name] for name in left) == sorted(contact.counted_us for contact in view.contacts)
    assert len(left) == cap(world, "person-week").counted


def test_reset_leaves_a_trail(world: World) -> None:
    """Who, when, why and what went stand in the log; a reset of nothing leaves none."""
    backfilled(world, outside())
    entries = world.contacts().tobytes()
    contacts(world).reset(reset())
    assert 0 == contacts(world).reset(reset()).removed

    kind, record = world.store.log[-1]
    change = log_pb2.LedgerChangeRecord.FromString(record)
    assert ("change", 2) == (kind, len([k for k, _ in world.store.log if k == "change"]))
    assert ("p", "anna", "a test went live", NOW_US) == (
        change.profile_id,
        change.actor,
        change.reason,
        change.changed_at_us,
    )
    assert (log_pb2.LEDGER_CHANGE_RESET, entries, b"") == (change.change, change.removed, change.added)


def test_reset_makes_room_again(world: World) -> None:
    """What was refused by a cap is offered after the reset."""
    for n in range(2):
        offered(world, f"r{n}")
    assert [[]] == offers_of(world.decide(world.ask("full")))

    assert 2 == contacts(world).reset(reset(channel="web")).removed

    offered(world, "again")


def test_name_that_nobody_knows_is_refused(world: World) -> None:
    """A typing error does not pass for a reset of nothing."""
    with pytest.raises(InvalidRequestError, match=r"channel: 'emial' is neither .* did you mean 'email'"):
        contacts(world).reset(reset(channel="emial"))


def test_backfilled_contact_counts_like_any_other(world: World) -> None:
    """What another system sent fills the caps, and is known again by its id."""
    offer = "tea-towel"
    assert [BackfillOutcome.ADDED, BackfillOutcome.DUPLICATE] == backfilled(
        world, outside(offer=offer, channel="web"), outside(offer=offer, channel="web")
    )
    assert [BackfillOutcome.DUPLICATE] == backfilled(world, outside(offer=offer, channel="web"))

    (contact,) = contacts(world).view(P).contacts
    assert (ContactState.BACKFILLED, "", offer, "kitchen") == (
        contact.state,
        contact.decision_id,
        contact.offer,
        contact.group,
    )
    assert NOW_US - HOUR_US + 7 * DAY_US == cap(world, "offer-week", offer).next_us
    change = log_pb2.LedgerChangeRecord.FromString(world.store.log[-1][1])
    assert (log_pb2.LEDGER_CHANGE_BACKFILL, world.contacts().tobytes()) == (change.change, change.added)


def test_backfill_of_somebody_unknown_counts_under_the_identity(world: World) -> None:
    """A person that nobody has written gets the anonymous ledger that decisions would use."""
    person = Person(identity=Identity("crm", "77"))
    assert [BackfillOutcome.ADDED] == backfilled(world, outside(person=person))
    assert anonymous_id("crm", "77") == contacts(world).view(person).profile_id


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channel": ""}, "channel"),
        ({"channel": "pigeon"}, "channel"),
        ({"offer": "nothing"}, "offer"),
        ({"placement": "nowhere"}, "placement"),
        ({"counted_us": NOW_US + 1}, "counted_at"),
    ],
)
def test_wrong_contact_is_rejected_and_stops_no_other(world: World, changes: dict[str, Any], field: str) -> None:
    """Each contact has its own outcome, which names what is wrong."""
    wrong, right = contacts(world).backfill([outside("a", **changes), outside("b")], actor="a", reason="r")
    assert (BackfillOutcome.REJECTED, [field]) == (wrong.outcome, [v.field for v in wrong.violations])
    assert BackfillOutcome.ADDED == right.outcome


def test_backfill_is_bounded(world: World) -> None:
    """What no window reaches is not kept, and a full ledger takes no more."""
    assert [BackfillOutcome.TOO_OLD] == backfilled(world, outside(counted_us=NOW_US - 35 * DAY_US - 1))
    many = [outside(f"c{n}") for n in range(65)]
    assert {BackfillOutcome.REJECTED} == set(backfilled(world, *many))
    assert [BackfillOutcome.ADDED] * 64 == backfilled(world, *many[:64])
    assert [BackfillOutcome.REJECTED] == backfilled(world, many[64])
    world.clock.advance(36 * DAY_US)
    assert [BackfillOutcome.ADDED] == backfilled(world, outside("later", counted_us=world.clock.now_us()))


def test_backfill_drops_what_lapsed_for_want_of_room(world: World) -> None:
    """As a decision would: what nobody confirmed goes, and the ledger says so; nothing of it is logged as taken out."""
    world.catalog = replace(world.catalog, caps=())
    world.engine = world.replica()
    for n in range(3):
        offered(world, f"r{n}")
    world.clock.advance(3 * DAY_US)
    now_us = world.clock.now_us()

    many = [outside(f"c{n}", counted_us=now_us) for n in range(64)]
    assert [BackfillOutcome.ADDED] * 61 == backfilled(world, *many[:61])
    assert 64 == len(world.contacts())
    assert [BackfillOutcome.ADDED] == backfilled(world, many[61])

    header = Ledger.parse(world.store.ledgers[person_address("p")])
    assert (62, -(-(now_us - world.catalog.lapsed_us) // SECOND_US)) == (len(header.entries), header.lapsed_before_s)


def test_change_is_made_anew_on_what_others_wrote(world: World) -> None:
    """A decision between read and write is neither lost nor does it stop the change."""
    decisions: list[Decision] = []

    def happens() -> None:
        world.store.on_fetch = lambda: None
        decisions.append(offered(world, "meanwhile"))

    rewrite = world.store.rewrite

    def late(rewrites: Any) -> Any:
        if not decisions:
            happens()
        return rewrite(rewrites)

    world.store.rewrite = late  # type: ignore[method-assign]
    assert [BackfillOutcome.ADDED] == backfilled(world, outside())
    assert 2 == len(contacts(world).view(P).contacts)
