"""Ledgers of a batch as parallel arrays, and what of them counts.

A *unit* is what a cap counts. For offers and groups it is each entry; for profile and channel an occasion (one
decision, one channel, one moment, however many offers); for placements a filling (one decision, one placement, one
moment).
Entries of one decision stand next to each other in a ledger.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from takt.kernel import kernel

Contacts = npt.NDArray[np.void]

CONTACT: Final = np.dtype(
    [
        ("time_us", "<i8"),
        ("ends_us", "<i8"),  # when the hold lapses or the suppression ends; the largest int64 for never
        ("decision", "<u8"),
        ("offer", "<i8"),  # indices of the catalog in force; -1 for what it no longer knows
        ("group", "<i8"),
        ("channel", "<i8"),
        ("placement", "<i8"),
        ("state", "<i8"),  # takt.domain.ledger.EntryState
    ]
)
"""One entry as kernels read it. A batch holds its ledgers in one array, each with room behind it for new contacts."""


@kernel
def counts_as(state: int, ends_us: int, counts: int, now_us: int) -> bool:
    """Whether an entry counts for a cap on `counts` (0 decision, 1 impression, 2 click) at `now_us`.

    A decision always counts. An impression counts once shown, and while held; a click once clicked, and while it may
    still come. A release gives both back. Suppressions (state 16 and above) are no contacts.
    """
    if state >= 16:
        return False
    if counts == 0:
        return True
    if state == 3:
        return False
    if state >= counts:
        return True
    return now_us < ends_us


@kernel
def in_scope(contacts: Contacts, i: int, scope: int, key: int) -> bool:
    """Whether entry `i` belongs to a scope's key (0 profile, 1 channel, 2 placement, 3 group, 4 offer)."""
    if scope == 0:
        return True
    if scope == 1:
        return bool(contacts[i]["channel"] == key)
    if scope == 2:
        return bool(contacts[i]["placement"] == key)
    if scope == 3:
        return bool(contacts[i]["group"] == key)
    return bool(contacts[i]["offer"] == key)


@kernel
def same_unit(contacts: Contacts, i: int, j: int, scope: int) -> bool:
    """Whether two entries of a scope's key are one unit."""
    if (
        scope >= 3
        or contacts[i]["decision"] != contacts[j]["decision"]
        or contacts[i]["time_us"] != contacts[j]["time_us"]
    ):
        return False
    return scope == 2 or contacts[i]["channel"] == contacts[j]["channel"]


@kernel
def unit_times(
    contacts: Contacts, first: int, end: int, scope: int, key: int, counts: int, now_us: int, out: npt.NDArray[np.int64]
) -> int:
    """Write the moments of the counted units of one key to `out`, unsorted; return how many.

    Reads entries `first` to `end` (exclusive). Entries of one decision are adjacent, so a unit is looked for only among
    its decision's entries.
    """
    n = 0
    for i in range(first, end):
        if not in_scope(contacts, i, scope, key):
            continue
        if not counts_as(contacts[i]["state"], contacts[i]["ends_us"], counts, now_us):
            continue
        repeated = False
        j = i - 1
        while scope < 3 and j >= first and contacts[j]["decision"] == contacts[i]["decision"]:
            if (
                in_scope(contacts, j, scope, key)
                and same_unit(contacts, i, j, scope)
                and counts_as(contacts[j]["state"], contacts[j]["ends_us"], counts, now_us)
            ):
                repeated = True
                break
            j -= 1
        if not repeated:
            out[n] = contacts[i]["time_us"]
            n += 1
    return n


@kernel
def fullest_window(times: npt.NDArray[np.int64], n: int, moment_us: int, width_us: int) -> int:
    """The most of the first `n` `times` in any window `[s, s + width)` that contains `moment_us`.

    A fullest window can be slid right until it starts at one of the times or at the moment itself, so only those starts
    are tried; without times after the moment, all that matters is how many lie less than a width before it.
    """
    before = 0
    after = False
    for i in range(n):
        if times[i] > moment_us:
            after = True
        elif times[i] > moment_us - width_us:
            before += 1
    if not after:
        return before
    most = 0
    for i in range(-1, n):
        start = moment_us if i < 0 else times[i]
        if start > moment_us or start <= moment_us - width_us:
            continue
        inside = 0
        for j in range(n):
            if start <= times[j] < start + width_us:
                inside += 1
        most = max(most, inside)
    return most


@kernel
def inside(times: npt.NDArray[np.int64], n: int, start_us: int, end_us: int) -> int:
    """How many of the first `n` `times` lie in `[start, end)`."""
    found = 0
    for i in range(n):
        if start_us <= times[i] < end_us:
            found += 1
    return found
