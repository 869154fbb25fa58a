"""What of one ledger may still matter now: its recent entries, laid out for counting.

A ledger goes back further than any window in force. What is older than all of them is left out, once per ledger, and
the rest is put so that the units in a window can be counted in one sweep.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from takt.kernel import kernel
from takt.policy.contacts import SUPPRESS_GROUP, SUPPRESS_OFFER, Contacts, unit_bit, units_made

Ints = npt.NDArray[np.int64]


class Recent(NamedTuple):
    """Entries of one ledger, as many as `size` says. Arrays are as long as the longest ledger of a batch."""

    time_us: Ints
    keys: Ints
    """int64 [5, n]: what an entry adds to, by scope: 0, channel, placement, group, offer."""
    units: Ints
    """int64 [n]: which units it makes (`takt.policy.contacts.units_made`)."""
    suppressions: Ints
    """Positions in the ledger of the suppressions that are in force."""
    size: Ints
    """int64 [2]: how many entries, and how many suppressions."""
    times: Ints
    """Room to count in."""


def recent_for(longest: int) -> Recent:
    """Room for a ledger of `longest` entries, with what it may gain."""
    return Recent(
        np.zeros(longest, np.int64),
        np.zeros((5, longest), np.int64),
        np.zeros(longest, np.int64),
        np.zeros(longest, np.int64),
        np.zeros(2, np.int64),
        np.zeros(longest, np.int64),
    )


@kernel
def remember(contacts: Contacts, first: int, i: int, now_us: int, recent: Recent) -> None:
    """Add entry `i` of the ledger that begins at `first`."""
    n = recent.size[0]
    entry = contacts[i]
    recent.time_us[n] = entry["time_us"]
    recent.keys[0, n] = 0
    recent.keys[1, n] = entry["channel"]
    recent.keys[2, n] = entry["placement"]
    recent.keys[3, n] = entry["group"]
    recent.keys[4, n] = entry["offer"]
    recent.units[n] = units_made(contacts, first, i, now_us)
    recent.size[0] = n + 1


@kernel
def recall(contacts: Contacts, first: int, end: int, since_us: int, now_us: int, recent: Recent) -> None:
    """Start anew with entries `first` to `end` (exclusive): contacts from `since_us` on, suppressions not yet over."""
    recent.size[0] = 0
    recent.size[1] = 0
    for i in range(first, end):
        entry = contacts[i]
        if entry["state"] < SUPPRESS_OFFER:
            if entry["time_us"] >= since_us:
                remember(contacts, first, i, now_us, recent)
        elif entry["state"] <= SUPPRESS_GROUP and entry["ends_us"] > now_us:
            recent.suppressions[recent.size[1]] = i
            recent.size[1] += 1


@kernel
def units_of(recent: Recent, scope: int, key: int, counts: int) -> int:
    """Write the moments of the units of one key to `recent.times`, unsorted; return how many."""
    bit = unit_bit(scope, counts)
    n = 0
    for i in range(recent.size[0]):
        if recent.keys[scope, i] == key and recent.units[i] & bit:
            recent.times[n] = recent.time_us[i]
            n += 1
    return n
