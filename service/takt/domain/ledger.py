"""The contact ledger: who was addressed when, through what. One fixed layout, the same in every store.

A ledger is a header of 32 bytes and entries of 32 bytes each, little endian, in the order in which they were written.
A header is as wide as an entry, so that many ledgers joined are one array.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

WIDTH: Final = 32
"""Bytes of a header, and of an entry."""

HEADER: Final = np.dtype(
    [
        ("gate", "<i8"),  # moved by whatever tightens: consent, suppression, late confirmation, backfill, merge, erase
        ("appends", "<i8"),  # entries ever appended; never goes back
        ("trimmed_before_us", "<i8"),  # contacts before this moment may be missing
        ("layout", "u1"),  # 1
        ("state", "u1"),  # LedgerState
        ("lapsed_before_s", "<u4"),  # contacts whose hold ended unconfirmed before this second may be missing
        ("pad", "<u2"),
    ]
)

ENTRY: Final = np.dtype(
    [
        ("time_us", "<i8"),  # when the contact counts: at its decision, or at its not-before when deferred; never moves
        ("decision", "<u8"),  # first 8 bytes of the decision id
        ("expiry_s", "<u4"),  # seconds after `time_us` at which a hold lapses, or a suppression ends (0 = never)
        ("offer", "<u4"),  # code of the offer
        ("group", "<u2"),  # code of its group then, 0 = none
        ("channel", "<u2"),  # code of the channel
        ("placement", "<u2"),  # code of the placement
        ("state", "u1"),  # EntryState, of a contact with OUTSIDE and LATE added
        ("origin", "u1"),  # code of the identity namespace the contact came through, 0 = profile id
    ]
)


class LedgerState(IntEnum):
    """Whether a ledger takes part in decisions."""

    OPEN = 0
    SEALED = 1
    """The ledger of an identity that a profile has claimed: nothing is written to it any more."""
    PENDING = 2
    """The person is about to absorb another: nothing is counted until that is done."""
    MOVED = 3
    """The person was merged into another, whose ledger counts."""


STATE_AT: Final = 25
"""Where in a header its state is."""


class EntryState(IntEnum):
    """What became of a contact. Suppressions are entries too: they are written and read with the contacts."""

    HELD = 0
    """Reserved at decision; counts as an impression or click until its expiry."""
    SHOWN = 1
    CLICKED = 2
    RELEASED = 3
    SUPPRESS_OFFER = 16
    SUPPRESS_GROUP = 17
    DISMISSED = 18
    """A negative response, remembered for what it says of the next one (`takt.policy.pressure`). Suppresses nothing."""


OUTSIDE: Final = 4
"""Added to a contact's state: it was made by another system. `decision` stands for that system's own id of it."""
LATE: Final = 8
"""Added to a contact's state: it had lapsed or been given back when it was confirmed, and has counted since then."""


LAYOUT_VERSION: Final = 1


def code16(name: str) -> int:
    """Code of a channel, placement or group: 16 bits of BLAKE2b, never 0. A clash is refused by `takt check`."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=2).digest(), "little") or 1


def code32(name: str) -> int:
    """Code of an offer: 32 bits of BLAKE2b, never 0. A clash is refused by `takt check`."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little") or 1


def code8(name: str) -> int:
    """Code of an identity namespace: 8 bits of BLAKE2b, never 0. Informative only, so clashes do no harm."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=1).digest(), "little") or 1


def empty_header() -> npt.NDArray[np.void]:
    """Header `[1]` of a ledger that has never been written: gate 0, appends 0."""
    header = np.zeros(1, HEADER)
    header["layout"] = LAYOUT_VERSION
    return header


EMPTY: Final = empty_header().tobytes()
"""What a store returns for a ledger that does not exist."""
