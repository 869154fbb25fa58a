"""What every store promises about feedback."""

from __future__ import annotations

import pytest

from takt.domain.ledger import EMPTY, LATE, OUTSIDE, EntryState
from takt.errors import StoreMarkerError
from takt.memory.ledger import Ledger, LedgerEntry
from takt.ports import Mark, MarkKind, MarkOutcome
from tests.contract.building import HOUR_US, contact, ledger_of, mark, packed, suppression
from tests.contract.harness import NOW_US, RETENTION_US, Harness

HELD, SHOWN, CLICKED, RELEASED = EntryState.HELD, EntryState.SHOWN, EntryState.CLICKED, EntryState.RELEASED
LAPSED = {"time_us": NOW_US - HOUR_US}


@pytest.mark.parametrize(
    ("before", "kind", "after", "outcome"),
    [
        (HELD, MarkKind.SHOWN, SHOWN, MarkOutcome.APPLIED),
        (HELD, MarkKind.CLICKED, CLICKED, MarkOutcome.APPLIED),
        (HELD, MarkKind.RELEASED, RELEASED, MarkOutcome.APPLIED),
        (HELD, MarkKind.NONE, HELD, MarkOutcome.APPLIED),
        (SHOWN, MarkKind.SHOWN, SHOWN, MarkOutcome.APPLIED),
        (SHOWN, MarkKind.CLICKED, CLICKED, MarkOutcome.APPLIED),
        (SHOWN, MarkKind.RELEASED, SHOWN, MarkOutcome.APPLIED),
        (CLICKED, MarkKind.SHOWN, CLICKED, MarkOutcome.APPLIED),
        (CLICKED, MarkKind.CLICKED, CLICKED, MarkOutcome.APPLIED),
        (CLICKED, MarkKind.RELEASED, CLICKED, MarkOutcome.APPLIED),
        (RELEASED, MarkKind.RELEASED, RELEASED, MarkOutcome.APPLIED),
        (RELEASED, MarkKind.SHOWN, SHOWN, MarkOutcome.LATE),
        (RELEASED, MarkKind.CLICKED, CLICKED, MarkOutcome.LATE),
    ],
)
def test_contact_moves_forward_only(
    harness: Harness, before: EntryState, kind: MarkKind, after: EntryState, outcome: MarkOutcome
) -> None:
    """A hold becomes shown, clicked or released; no click is undone; what was given back and shown counts again."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(contact(state=before),)).pack())

    assert [outcome] == harness.store.mark([mark("p", "e1", kind)])

    late = outcome is MarkOutcome.LATE
    state = after | LATE if late else after
    assert Ledger(NOW_US if late else 3, 1, entries=(contact(state=state),)) == ledger_of(harness.store, "p")


@pytest.mark.parametrize(
    ("before", "kind", "after", "outcome"),
    [
        (contact(**LAPSED), MarkKind.SHOWN, SHOWN, MarkOutcome.LATE),
        (contact(**LAPSED), MarkKind.CLICKED, CLICKED, MarkOutcome.LATE),
        (contact(**LAPSED), MarkKind.RELEASED, RELEASED, MarkOutcome.APPLIED),
        (contact(**LAPSED, state=SHOWN), MarkKind.SHOWN, SHOWN, MarkOutcome.APPLIED),
        (contact(**LAPSED, state=SHOWN), MarkKind.CLICKED, CLICKED, MarkOutcome.LATE),
        (contact(**LAPSED, expiry_s=0), MarkKind.SHOWN, SHOWN, MarkOutcome.APPLIED),
        (contact(time_us=NOW_US - 1_800_000_000), MarkKind.SHOWN, SHOWN, MarkOutcome.LATE),
        (contact(time_us=NOW_US - 1_799_999_999), MarkKind.SHOWN, SHOWN, MarkOutcome.APPLIED),
    ],
)
def test_late_confirmation_counts_and_moves_the_gate(
    harness: Harness, before: LedgerEntry, kind: MarkKind, after: EntryState, outcome: MarkOutcome
) -> None:
    """A hold that had lapsed counts again once it was shown: its time stays, and decisions under way start over."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(before,)).pack())

    assert [outcome] == harness.store.mark([mark("p", "e1", kind)])

    ledger = ledger_of(harness.store, "p")
    state = after | LATE if outcome is MarkOutcome.LATE else after
    assert (state, before.time_us) == (ledger.entries[0].state, ledger.entries[0].time_us)
    assert (NOW_US if outcome is MarkOutcome.LATE else 3) == ledger.gate


def test_what_was_late_stays_late(harness: Harness) -> None:
    """A click on a contact that was shown late makes it clicked, and it remains one that came late."""
    before = contact(**LAPSED, state=SHOWN | LATE)
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(before,)).pack())

    assert [MarkOutcome.LATE] == harness.store.mark([mark("p", "e1", MarkKind.CLICKED)])
    assert [CLICKED | LATE] == [entry.state for entry in ledger_of(harness.store, "p").entries]


def test_contact_from_outside_stays_one(harness: Harness) -> None:
    """Feedback on a contact that another system made changes what became of it, and not where it comes from."""
    before = contact(state=SHOWN | OUTSIDE, expiry_s=0)
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(before,)).pack())

    assert [MarkOutcome.APPLIED] == harness.store.mark([mark("p", "e1", MarkKind.CLICKED)])
    assert [CLICKED | OUTSIDE] == [entry.state for entry in ledger_of(harness.store, "p").entries]


def test_gate_never_repeats(harness: Harness) -> None:
    """Where the clock is behind the gate, the gate moves by one."""
    harness.overwrite_ledger("p", Ledger(gate=NOW_US + 5, appends=1, entries=(contact(**LAPSED),)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.SHOWN)])

    assert NOW_US + 6 == ledger_of(harness.store, "p").gate


def test_event_finds_its_offer_among_many(harness: Harness) -> None:
    """Decision and offer both have to match; offer 0 means all of the decision."""
    entries = [
        contact(decision=1, offer=1),
        contact(decision=77, offer=1),
        contact(decision=77, offer=2),
        contact(decision=77, offer=2, placement=9),
        contact(decision=2**64 - 1, offer=2),
        suppression(decision=77, offer=2),
    ]
    harness.overwrite_ledger("p", Ledger(appends=6, entries=tuple(entries)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.SHOWN, offer=2)])
    assert [HELD, HELD, SHOWN, SHOWN, HELD, EntryState.SUPPRESS_OFFER] == [
        e.state for e in ledger_of(harness.store, "p").entries
    ]

    harness.store.mark([mark("p", "e2", MarkKind.CLICKED), mark("p", "e3", MarkKind.SHOWN, decision=2**64 - 1)])
    assert [HELD, CLICKED, CLICKED, CLICKED, SHOWN, EntryState.SUPPRESS_OFFER] == [
        e.state for e in ledger_of(harness.store, "p").entries
    ]


def test_decision_is_found_in_its_field_only(harness: Harness) -> None:
    """Eight bytes that look like the decision in other fields, or across two entries, are not the decision."""
    wanted = 0x0101010101010101
    decoy = contact(
        time_us=wanted,
        decision=1,
        expiry_s=0x01010101,
        offer=0x01010101,
        group=0x0101,
        channel=0x0101,
        placement=0x0101,
    )
    harness.overwrite_ledger("p", Ledger(gate=wanted, appends=2, entries=(decoy, contact(decision=wanted))).pack())

    assert [MarkOutcome.APPLIED] == harness.store.mark([mark("p", "e1", MarkKind.SHOWN, decision=wanted)])
    assert (decoy, contact(decision=wanted, state=SHOWN)) == ledger_of(harness.store, "p").entries


def test_event_is_applied_once(harness: Harness) -> None:
    """The second delivery of an event changes nothing and is not logged again."""
    harness.overwrite_ledger("p", Ledger(appends=1, entries=(contact(**LAPSED),)).pack())
    event = mark("p", "e1", MarkKind.SHOWN)

    assert [MarkOutcome.LATE, MarkOutcome.DUPLICATE] == harness.store.mark([event, event])
    gate = ledger_of(harness.store, "p").gate
    harness.clock.advance(RETENTION_US)
    assert [MarkOutcome.DUPLICATE] == harness.store.mark([event])

    assert gate == ledger_of(harness.store, "p").gate
    assert [("feedback", b"log e1")] == harness.log()


def test_events_of_one_batch_apply_in_order(harness: Harness) -> None:
    """A click before its impression ends as a click."""
    harness.overwrite_ledger("p", Ledger(appends=1, entries=(contact(),)).pack())

    outcomes = harness.store.mark([mark("p", "click", MarkKind.CLICKED), mark("p", "view", MarkKind.SHOWN)])

    assert [MarkOutcome.APPLIED, MarkOutcome.APPLIED] == outcomes
    assert (contact(state=CLICKED),) == ledger_of(harness.store, "p").entries


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (mark("p", "e1", MarkKind.SHOWN, decision=1), MarkOutcome.ORPHAN),
        (mark("p", "e1", MarkKind.NONE, decision=1), MarkOutcome.ORPHAN),
        (mark("p", "e1", MarkKind.SHOWN, offer=1), MarkOutcome.ORPHAN),
        (mark("p", "e1", MarkKind.SHOWN, decision=0), MarkOutcome.ORPHAN),
        (mark("stranger", "e1", MarkKind.SHOWN), MarkOutcome.ORPHAN),
        (mark("p", "e1", MarkKind.NONE, decision=0), MarkOutcome.APPLIED),
        (mark("stranger", "e1", MarkKind.NONE, decision=0), MarkOutcome.APPLIED),
    ],
)
def test_event_without_a_contact_is_kept(harness: Harness, event: Mark, outcome: MarkOutcome) -> None:
    """An event that should have found a contact is an orphan; it is logged like any other and touches no ledger."""
    ledger = Ledger(gate=3, appends=1, entries=(contact(),)).pack()
    harness.overwrite_ledger("p", ledger)

    assert [outcome] == harness.store.mark([event])

    assert [ledger, EMPTY] == harness.store.fetch(["p", "stranger"]).ledgers
    assert [("feedback", b"log e1")] == harness.log()


def test_suppression_is_appended_and_moves_the_gate(harness: Harness) -> None:
    """A negative response ends decisions under way, and stands in the ledger from then on."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(contact(),)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.NONE, suppression=packed(suppression()))])

    assert Ledger(NOW_US, 2, entries=(contact(), suppression())) == ledger_of(harness.store, "p")


def test_suppression_of_a_stranger_makes_a_ledger(harness: Harness) -> None:
    """Who was never contacted can still refuse, and an orphan's refusal counts."""
    outcomes = harness.store.mark([mark("p", "e1", MarkKind.SHOWN, suppression=packed(suppression()))])

    assert [MarkOutcome.ORPHAN] == outcomes
    assert Ledger(NOW_US, 1, entries=(suppression(),)) == ledger_of(harness.store, "p")


def test_confirmation_and_suppression_in_one_event(harness: Harness) -> None:
    """A dismissed offer was shown, and shall not come back."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(contact(),)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.SHOWN, suppression=packed(suppression()))])

    assert Ledger(NOW_US, 2, entries=(contact(state=SHOWN), suppression())) == ledger_of(harness.store, "p")


def test_one_event_may_suppress_and_be_remembered_as_dismissal(harness: Harness) -> None:
    """Several entries of one event stand or are renewed each for itself; the gate moves once."""
    dismissal = suppression(state=EntryState.DISMISSED, expiry_s=1)
    later = suppression(state=EntryState.DISMISSED, expiry_s=1, time_us=NOW_US + 1)
    harness.overwrite_ledger("p", Ledger(gate=3, appends=2, entries=(contact(), dismissal)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.SHOWN, suppression=packed(suppression(), later))])

    assert Ledger(NOW_US, 3, entries=(contact(state=SHOWN), later, suppression())) == ledger_of(harness.store, "p")


@pytest.mark.parametrize(
    ("standing", "new", "renewed"),
    [
        (suppression(), suppression(time_us=NOW_US + 1), True),
        (suppression(), suppression(expiry_s=0), True),
        (suppression(), suppression(expiry_s=60), False),
        (suppression(expiry_s=0), suppression(), False),
        (suppression(expiry_s=0), suppression(expiry_s=0, time_us=NOW_US + 1), False),
    ],
)
def test_repeated_refusal_does_not_fill_the_ledger(
    harness: Harness, standing: LedgerEntry, new: LedgerEntry, renewed: bool
) -> None:
    """The same suppression again takes the place of the old one if it ends later, and otherwise changes nothing."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(standing,)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.NONE, decision=0, suppression=packed(new))])

    expected = Ledger(NOW_US, 1, entries=(new,)) if renewed else Ledger(3, 1, entries=(standing,))
    assert expected == ledger_of(harness.store, "p")


@pytest.mark.parametrize(
    "other",
    [
        suppression(offer=99),
        suppression(group=99),
        suppression(channel=99),
        suppression(state=EntryState.SUPPRESS_GROUP),
        contact(),
    ],
)
def test_different_refusals_stand_side_by_side(harness: Harness, other: LedgerEntry) -> None:
    """Only what suppresses the very same is renewed."""
    harness.overwrite_ledger("p", Ledger(gate=3, appends=1, entries=(other,)).pack())

    harness.store.mark([mark("p", "e1", MarkKind.NONE, decision=0, suppression=packed(suppression()))])

    assert (other, suppression()) == ledger_of(harness.store, "p").entries


def test_event_on_a_broken_ledger_is_logged(harness: Harness) -> None:
    """What cannot be applied is at least kept, and the ledger is left as it is."""
    harness.overwrite_ledger("p", b"broken")

    outcomes = harness.store.mark([mark("p", "e1", MarkKind.SHOWN, suppression=packed(suppression()))])

    assert [MarkOutcome.ORPHAN] == outcomes
    assert ([b"broken"], [("feedback", b"log e1")]) == (harness.store.fetch(["p"]).ledgers, harness.log())


def test_feedback_without_marker_is_refused(harness: Harness) -> None:
    """A store that may have lost its ledgers takes no feedback: the caller keeps it and comes again."""
    harness.lose_marker("p")

    with pytest.raises(StoreMarkerError):
        harness.store.mark([mark("p", "e1", MarkKind.SHOWN)])

    assert [] == harness.log()


def test_partial_suppression_is_the_callers_mistake(harness: Harness) -> None:
    """A suppression is a whole entry."""
    with pytest.raises(ValueError, match="multiple of 32"):
        harness.store.mark([mark("p", "e1", MarkKind.NONE, suppression=b"x" * 31)])
