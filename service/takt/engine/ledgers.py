"""Ledgers of a batch: joined bytes in, one array of contacts out; picks in, entry bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.clock import SECOND_US
from takt.domain.ledger import EMPTY, ENTRY, HEADER, LATE, OUTSIDE, WIDTH, EntryState
from takt.engine.arrays import Ints, Table
from takt.engine.codes import Codes
from takt.kernel import kernel
from takt.policy.contacts import CONTACT, Contacts
from takt.policy.moments import FOREVER_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.engine.compute import Computed
    from takt.engine.force import Force

# Kernels take plain numbers as constants.
SUPPRESS_OFFER: Final = int(EntryState.SUPPRESS_OFFER)
COUNTED: Final = ~(OUTSIDE | LATE) & 0xFF
FOREVER: Final = int(FOREVER_US)


class Ledgers(Struct, frozen=True):
    """The ledgers of n persons, ready for selection."""

    contacts: Contacts
    first: npt.NDArray[np.int64]
    """int64 [n]: first entry of each ledger in `contacts`."""
    end: npt.NDArray[np.int64]
    """int64 [n]: one past its last entry; selection moves it."""
    gate: list[int]
    appends: list[int]
    known_us: npt.NDArray[np.int64]
    """int64 [n]: contacts that lapsed before this moment may be missing."""
    longest: int
    """Entries of any ledger at most, with what it may gain."""


def is_whole(ledger: bytes) -> bool:
    """Whether bytes can be a ledger at all: a header and whole entries. Anything else fails closed."""
    return len(ledger) >= WIDTH and len(ledger) % WIDTH == 0


@kernel
def find(codes: Codes, code: int) -> int:
    """Catalog index of a ledger code, -1 for one that the catalog does not know."""
    last = codes.shape[0] - 1  # a power of two, less one
    at = code & last
    while codes[at]["code"] != code:
        if codes[at]["code"] < 0:
            return -1
        at = (at + 1) & last
    return int(codes[at]["place"])


@kernel
def unpack(
    headers: Table,
    entries: Table,
    sizes: Ints,
    room: Ints,
    offers: Codes,
    groups: Codes,
    channels: Codes,
    placements: Codes,
    contacts: Contacts,
    first: Ints,
    end: Ints,
    heads: Ints,
) -> int:
    """Read joined ledgers, `sizes[g]` wide with their headers, into `contacts`; the longest with its room, in entries.

    `headers` and `entries` are the same bytes. Where each ledger's contacts begin is written to `first` [n], where they
    end, before `room[g]` free ones, to `end` [n], and to `heads` [3, n] what its header says: gate, appends, and the
    moment before which contacts that lapsed may be missing.
    """
    at, free, longest = 0, 0, 0
    for g in range(sizes.shape[0]):
        header = headers[at]
        heads[0, g] = header["gate"]
        heads[1, g] = header["appends"]
        heads[2, g] = np.int64(header["lapsed_before_s"]) * SECOND_US
        length = sizes[g] - 1
        first[g] = free
        end[g] = free + length
        for k in range(length):
            entry = entries[at + 1 + k]
            contact = contacts[free + k]
            state = np.int64(entry["state"])
            seconds = np.int64(entry["expiry_s"])
            contact["time_us"] = entry["time_us"]
            contact["ends_us"] = entry["time_us"] + seconds * SECOND_US
            if state >= SUPPRESS_OFFER and seconds == 0:
                contact["ends_us"] = FOREVER
            contact["decision"] = entry["decision"]
            contact["offer"] = find(offers, int(entry["offer"]))
            contact["group"] = find(groups, int(entry["group"]))
            contact["channel"] = find(channels, int(entry["channel"]))
            contact["placement"] = find(placements, int(entry["placement"]))
            contact["state"] = state & COUNTED  # neither changes what counts
        at += sizes[g]
        free += length + room[g]
        longest = max(longest, length + room[g])
    return longest


@kernel
def pack(
    contacts: Contacts,
    ledger_first: Ints,
    group_first: Ints,
    first_spot: Ints,
    picks: Table,
    offer_codes: Ints,
    group_codes: Ints,
    channel_codes: Ints,
    placements: Table,
    origins: npt.NDArray[np.uint8],
    entries: Table,
    first_new: Ints,
    first_contact: Ints,
) -> int:
    """Write the contacts that selection appended to each ledger as ledger entries; how many there are.

    Those of group g begin at `contacts[ledger_first[g]]`. Where each request's begin is written to `first_new` [n], in
    `contacts`, and to `first_contact` [n + 1], in `entries`.
    """
    made = 0
    for g in range(ledger_first.shape[0]):
        at = ledger_first[g]
        for i in range(group_first[g], group_first[g + 1]):
            first_new[i] = at
            first_contact[i] = made
            for s in range(first_spot[i], first_spot[i + 1]):
                for k in range(picks.shape[1]):
                    if picks[s, k]["offer"] < 0:
                        break
                    contact = contacts[at]
                    entry = entries[made]
                    entry["time_us"] = contact["time_us"]
                    entry["decision"] = contact["decision"]
                    entry["expiry_s"] = (contact["ends_us"] - contact["time_us"]) // SECOND_US
                    entry["offer"] = offer_codes[contact["offer"]]
                    entry["group"] = group_codes[contact["group"]] if contact["group"] >= 0 else 0
                    entry["channel"] = channel_codes[contact["channel"]]
                    entry["placement"] = placements[contact["placement"]]["code"]
                    entry["state"] = 0
                    entry["origin"] = origins[i]
                    at += 1
                    made += 1
    first_contact[group_first[-1]] = made
    return made


def join(force: Force, blobs: Sequence[bytes], room: Ints) -> Ledgers:
    """Join the ledgers of n persons, each with `room` int64 [n] free entries behind it.

    Blobs must be whole (`is_whole`). A fixed number of array operations, whatever the batch.
    """
    n, raw = len(blobs), b"".join(blobs)
    first, end, heads = np.empty(n, np.int64), np.empty(n, np.int64), np.empty((3, n), np.int64)
    contacts = np.empty(len(raw) // WIDTH - n + sum(room.tolist()), CONTACT)
    longest = unpack(
        np.frombuffer(raw, HEADER),
        np.frombuffer(raw, ENTRY),
        np.array([len(blob) // WIDTH for blob in blobs], np.int64),
        room,
        force.offers,
        force.groups,
        force.channels,
        force.placements,
        contacts,
        first,
        end,
        heads,
    )
    gate, appends, _ = heads.tolist()
    return Ledgers(contacts, first, end, gate, appends, heads[2], longest)


class Made(Struct, frozen=True):
    """The contacts that a batch makes, in the order of groups, items and spots."""

    entries: bytes
    """Ledger entries, packed."""
    first_contact: Ints
    """int64 [n + 1]: the first of each item, counted in entries."""
    first_new: Ints
    """int64 [n]: the first of each item in the batch's contacts."""


def contacts_made(computed: Computed, origins: npt.NDArray[np.uint8]) -> Made:
    """What selection appended; `origins` uint8 [n] says whence each item's person came.

    The catalog is the one that selected, so every index is known.
    """
    force, layout = computed.asking.force, computed.layout
    first_contact, first_new = np.empty(len(layout.items) + 1, np.int64), np.empty(len(layout.items), np.int64)
    entries = np.empty(sum((computed.ledgers.end - computed.ledger_end_before).tolist()), ENTRY)
    pack(
        computed.ledgers.contacts,
        computed.ledger_end_before,
        layout.group_first,
        layout.first_spot,
        computed.picked.picks,
        force.catalog.offer_codes,
        force.catalog.group_codes,
        force.channel_codes,
        force.shelf.placements,
        origins,
        entries,
        first_new,
        first_contact,
    )
    return Made(entries.tobytes(), first_contact, first_new)


def read(ledger: bytes) -> npt.NDArray[np.void]:
    """Entries of one ledger, for tools and tests."""
    return np.frombuffer(ledger or EMPTY, ENTRY)[1:]
