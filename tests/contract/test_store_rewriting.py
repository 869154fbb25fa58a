"""What every store promises about resets and contacts from outside: all of a change or nothing, and a record of it."""

from __future__ import annotations

from typing import Any

import pytest

from takt.domain.ledger import EMPTY, OUTSIDE, EntryState, LedgerState
from takt.domain.totals import Pool
from takt.errors import StoreMarkerError
from takt.memory.ledger import Ledger
from takt.ports import Commit, MarkKind, MarkOutcome, Rewrite, RewriteOutcome
from tests.contract.building import HOUR_US, contact, entry, group, ledger_of, mark, packed
from tests.contract.harness import NOW_US, Harness
from tests.contract.test_store_totals import ENDS_US, commit, home, opened, pool, spend

OLD = contact(time_us=NOW_US - HOUR_US, decision=1)
NEW = contact(decision=2, state=EntryState.SHOWN | OUTSIDE, expiry_s=0)


def rewrite(profile_id: str, ledger: bytes, **changes: Any) -> Rewrite:
    """All entries of a ledger go, unless told otherwise."""
    fields: dict[str, Any] = {"entries": b"", "appended": 0, "dropped": b"", "record": b"who, when, why"}
    return Rewrite(profile_id=profile_id, ledger=ledger, **(fields | changes))


def test_other_entries_take_the_place_of_all(harness: Harness) -> None:
    """What is kept stays, what is new is counted as appended, the gate moves, and the change is logged."""
    before = Ledger(gate=3, appends=7, trimmed_before_us=5, entries=(OLD, contact()), lapsed_before_s=4)
    harness.overwrite_ledger("p", before.pack())

    change = rewrite("p", before.pack(), entries=packed(OLD, NEW), appended=1, dropped=packed(contact()))
    assert [RewriteOutcome.DONE] == harness.store.rewrite([change])

    assert Ledger(NOW_US, 8, 5, entries=(OLD, NEW), lapsed_before_s=4) == ledger_of(harness.store, "p")
    assert [("change", b"who, when, why")] == harness.log()


def test_a_change_that_leaves_out_what_lapsed_says_so(harness: Harness) -> None:
    """The header says before which second contacts that lapsed may be missing, also where nothing is left."""
    for lapsed_before_s in (9, 7):
        ledger = harness.store.fetch(["p"]).ledgers[0]
        assert [RewriteOutcome.DONE] == harness.store.rewrite([rewrite("p", ledger, lapsed_before_s=lapsed_before_s)])
    harness.clock.advance(2 * HOUR_US)

    assert 9 == ledger_of(harness.store, "p").lapsed_before_s


def test_first_contact_of_a_person_may_come_from_outside(harness: Harness) -> None:
    """A ledger that was never written reads as the empty one."""
    change = rewrite("p", EMPTY, entries=packed(NEW), appended=1)

    assert [RewriteOutcome.DONE] == harness.store.rewrite([change])
    assert Ledger(NOW_US, 1, entries=(NEW,)) == ledger_of(harness.store, "p")


def test_nothing_that_came_in_between_is_lost(harness: Harness) -> None:
    """A contact or a confirmation since the read refuses the change whole, also where no gate was moved by it."""
    harness.store.commit([group("p", entry("r", contact()))])
    read = harness.store.fetch(["p"]).ledgers[0]
    assert [MarkOutcome.APPLIED] == harness.store.mark([mark("p", "e", MarkKind.SHOWN)])
    logged, confirmed = harness.log(), ledger_of(harness.store, "p")

    assert [RewriteOutcome.CHANGED] == harness.store.rewrite([rewrite("p", read)])

    assert (logged, confirmed) == (harness.log(), ledger_of(harness.store, "p"))


def test_decisions_under_way_start_over(harness: Harness) -> None:
    """Whoever has read before a change does not commit after it, whatever slack there was."""
    harness.store.rewrite([rewrite("p", EMPTY, entries=packed(NEW), appended=1)])

    (outcome,) = harness.store.commit([group("p", entry("r", contact()), slack=100)])

    assert Commit.CONFLICT == outcome.commit


def test_emptied_ledger_warns_those_who_read_it_full(harness: Harness) -> None:
    """After a reset of everything, a decision on the old contacts starts over too."""
    before = Ledger(gate=3, appends=1, entries=(OLD,)).pack()
    harness.overwrite_ledger("p", before)
    assert [RewriteOutcome.DONE] == harness.store.rewrite([rewrite("p", before, dropped=packed(OLD))])

    (outcome,) = harness.store.commit([group("p", entry("r", contact()), gate=3, appends=1, slack=100)])

    assert Commit.CONFLICT == outcome.commit


@pytest.mark.parametrize("state", [LedgerState.SEALED, LedgerState.PENDING, LedgerState.MOVED])
def test_closed_ledger_is_left_alone(harness: Harness, state: LedgerState) -> None:
    """While two people become one, or after, nothing is changed in what is about to move."""
    before = Ledger(gate=3, appends=1, state=state, entries=(OLD,)).pack()
    harness.overwrite_ledger("p", before)

    assert [RewriteOutcome.CLOSED] == harness.store.rewrite([rewrite("p", before)])
    assert ([before], []) == (harness.store.fetch(["p"]).ledgers, harness.log())


def test_what_is_no_ledger_is_left_alone(harness: Harness) -> None:
    """Bytes that nobody understands are not replaced."""
    harness.overwrite_ledger("p", b"broken")

    assert [RewriteOutcome.CORRUPT] == harness.store.rewrite([rewrite("p", b"broken")])
    assert [b"broken"] == harness.store.fetch(["p"]).ledgers


def test_lost_marker_refuses(harness: Harness) -> None:
    """Nothing is changed in a store that lost data."""
    harness.lose_marker("p")

    with pytest.raises(StoreMarkerError):
        harness.store.rewrite([rewrite("p", EMPTY, entries=packed(NEW), appended=1)])


def test_partial_entries_are_refused(harness: Harness) -> None:
    """A frame that would break the ledger never leaves the process."""
    with pytest.raises(ValueError, match="bytes of ledger entries"):
        harness.store.rewrite([rewrite("p", EMPTY, entries=b"x")])


def test_token_of_a_dropped_hold_is_spent_for_good(harness: Harness) -> None:
    """A reset of one person's contacts gives nothing back to the budget of all: they may have been shown."""
    person = opened(harness.store, 10)
    assert Commit.DONE == commit(harness.store, person, "r", spend())
    read = harness.store.fetch([person]).ledgers[0]

    harness.store.rewrite([rewrite(person, read, dropped=packed(contact()))])
    harness.clock.advance(2 * HOUR_US)

    assert 0 == harness.store.totals.sweep()
    assert Pool(10, 1, 10, ENDS_US) == pool(harness.store, home(harness.store))
