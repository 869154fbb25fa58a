"""When the next contact becomes possible, against trying every moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from takt.catalog.snapshot import Counts, Scope
from takt.domain.ledger import EntryState
from takt.policy import recent as kernels
from takt.policy.contacts import CONTACT, counts_as, fullest_window
from takt.policy.moments import FOREVER_US
from takt.policy.outlook import Unit, next_us, outlook, units_of

NOW, WEEK = 100, 20
END = NOW + 120
"""Nothing in a case reaches further."""


def week(moment: int) -> tuple[int, int]:
    """Calendar windows of 20 ticks."""
    start = moment - moment % WEEK
    return start, start + WEEK


ENTRY = st.tuples(
    st.integers(60, 140),  # time
    st.integers(0, 30),  # until its hold lapses, after its time
    st.sampled_from([1, 1, 2, 3]),  # decision
    st.integers(-1, 1),  # offer
    st.integers(0, 1),  # group
    st.integers(0, 1),  # channel
    st.integers(0, 1),  # placement
    st.sampled_from([0, 0, 1, 2, 3, 16, 18]),
)


@settings(max_examples=300)
@given(
    st.lists(ENTRY, max_size=8),
    st.sampled_from(list(Scope)[:5]),
    st.sampled_from(list(Counts)),
    st.integers(0, 4),
    st.sampled_from([0, 7, 25]),
)
def test_next_moment_is_the_first_that_the_policy_allows(
    rows: list[tuple[int, ...]], scope: Scope, counts: Counts, limit: int, rolling: int
) -> None:
    """Trying every moment with the policy's own kernels finds the same one, and the same number counted now."""
    rows.sort(key=lambda row: row[2])  # entries of one decision stand next to each other
    contacts = np.zeros(len(rows), CONTACT)
    for at, (time, lasts, decision, offer, group, channel, placement, state) in enumerate(rows):
        contacts[at] = (time, time + lasts, decision, offer, group, channel, placement, state)
    ledger = kernels.recent_for(len(rows))
    out = ledger.times

    def used(moment: int) -> int:
        kernels.recall(contacts, 0, len(rows), 0, moment, ledger)
        n = kernels.units_of(ledger, int(scope), 0, int(counts))
        if rolling:
            return int(fullest_window(out, n, moment, rolling))
        start, end = week(moment)
        return sum(start <= time < end for time in out[:n])

    units = units_of(contacts, scope, 0, counts)
    stands = outlook(units, limit=limit, rolling_us=rolling, window=week, now_us=NOW)

    assert used(NOW) == stands.counted
    assert next((m for m in range(NOW, END) if used(m) < limit), FOREVER_US) == stands.next_us


def test_holds_are_told_apart() -> None:
    """A hold counts as held; confirmed contacts do not."""
    units = [Unit(90, FOREVER_US), Unit(95, 110)]

    stands = outlook(units, limit=2, rolling_us=50, window=week, now_us=NOW)

    assert (2, 1, 50, 100, 110) == stands


def test_limit_of_none_never_has_room() -> None:
    """A cap of zero is a ban, not a wait."""
    assert FOREVER_US == next_us([], limit=0, rolling_us=0, window=week, now_us=NOW)


@pytest.mark.parametrize("state", list(EntryState))
def test_every_state_counts_as_in_the_policy(state: EntryState) -> None:
    """Whatever a state is, it counts here exactly when it counts there."""
    contacts = np.zeros(1, CONTACT)
    contacts[0] = (90, 110, 1, 0, 0, 0, 0, state)
    for counts in Counts:
        for moment in (100, 109, 110):
            alive = [unit for unit in units_of(contacts, Scope.PROFILE, 0, counts) if moment < unit.until_us]
            assert counts_as(int(state), 110, int(counts), moment) == bool(alive)
