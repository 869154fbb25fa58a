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

from takt.domain.ledger import EntryState
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

# Kernels take plain numbers as constants.
HELD: Final = int(EntryState.HELD)
RELEASED: Final = int(EntryState.RELEASED)
SUPPRESS_OFFER: Final = int(EntryState.SUPPRESS_OFFER)
SUPPRESS_GROUP: Final = int(EntryState.SUPPRESS_GROUP)

FELT: Final = 1 << 9
"""Bit of an entry that may have been seen, and so keeps others at a distance."""


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
def unit_bit(scope: int, counts: int) -> int:
    """The bit of an entry that makes a unit of this scope for a cap on `counts`: occasions, fillings, entries."""
    kind = 0 if scope < 2 else (1 if scope == 2 else 2)
    return 1 << (3 * kind + counts)


@kernel
def units_made(contacts: Contacts, first: int, i: int, now_us: int) -> int:
    """Which units entry `i` makes, as bits (`unit_bit`, `FELT`): those that no entry before it makes already.

    A unit is looked for only among its decision's entries, which are adjacent. Suppressions make none.
    """
    entry = contacts[i]
    if entry["state"] >= SUPPRESS_OFFER:
        return 0
    made = 0 if entry["state"] == RELEASED else FELT
    for counts in range(3):
        if not counts_as(entry["state"], entry["ends_us"], counts, now_us):
            continue
        occasion = True
        filling = True
        j = i - 1
        while j >= first and contacts[j]["decision"] == entry["decision"]:
            earlier = contacts[j]
            if earlier["time_us"] == entry["time_us"] and counts_as(
                earlier["state"], earlier["ends_us"], counts, now_us
            ):
                occasion = occasion and earlier["channel"] != entry["channel"]
                filling = filling and earlier["placement"] != entry["placement"]
            j -= 1
        made |= unit_bit(4, counts)
        if occasion:
            made |= unit_bit(0, counts)
        if filling:
            made |= unit_bit(2, counts)
    return made


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
