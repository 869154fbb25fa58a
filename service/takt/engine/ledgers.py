"""Ledgers of a batch: joined bytes in, parallel arrays out; picks in, entry bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from takt.clock import SECOND_US
from takt.domain.ledger import EMPTY, ENTRY, HEADER, LATE, OUTSIDE, WIDTH, EntryState
from takt.policy.contacts import CONTACT
from takt.policy.moments import FOREVER_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takt.engine.force import Force
    from takt.policy.contacts import Contacts


@dataclass(frozen=True, slots=True)
class Ledgers:
    """The ledgers of n persons, ready for selection."""

    contacts: Contacts
    first: npt.NDArray[np.int64]
    """int64 [n]: first entry of each ledger in `contacts`."""
    end: npt.NDArray[np.int64]
    """int64 [n]: one past its last entry; selection moves it."""
    gate: npt.NDArray[np.int64]
    appends: npt.NDArray[np.int64]


def is_whole(ledger: bytes) -> bool:
    """Whether bytes can be a ledger at all: a header and whole entries. Anything else fails closed."""
    return len(ledger) >= WIDTH and len(ledger) % WIDTH == 0


def join(force: Force, blobs: Sequence[bytes], room: Sequence[int]) -> Ledgers:
    """Join the ledgers of n persons, each with `room` free entries behind it.

    Blobs must be whole (`is_whole`). A fixed number of array operations, whatever the batch.
    """
    pieces = [piece for blob, spare in zip(blobs, room, strict=True) for piece in (blob, b"\0" * (WIDTH * spare))]
    raw = b"".join(pieces)
    length = np.array([len(blob) // WIDTH for blob in blobs], np.int64)
    span = length + np.array(room, np.int64)
    start = np.cumsum(span) - span
    headers = np.frombuffer(raw, HEADER)[start]
    entries = np.frombuffer(raw, ENTRY)
    contacts = np.empty(len(entries), CONTACT)
    contacts["time_us"] = entries["time_us"]
    contacts["ends_us"] = entries["time_us"] + entries["expiry_s"].astype(np.int64) * SECOND_US
    contacts["ends_us"][(entries["state"] >= EntryState.SUPPRESS_OFFER) & (entries["expiry_s"] == 0)] = FOREVER_US
    contacts["decision"] = entries["decision"]
    contacts["offer"] = force.offers.find(entries["offer"])
    contacts["group"] = force.groups.find(entries["group"])
    contacts["channel"] = force.channels.find(entries["channel"])
    contacts["placement"] = force.placements.find(entries["placement"])
    contacts["state"] = entries["state"] & np.uint8(~(OUTSIDE | LATE) & 0xFF)  # neither changes what counts
    return Ledgers(contacts, start + 1, start + length, headers["gate"].copy(), headers["appends"].copy())


def entry_bytes(
    force: Force, contacts: Contacts, positions: npt.NDArray[np.int64], origins: npt.NDArray[np.integer]
) -> bytes:
    """Pack the contacts at `positions` int64 [n], written by selection, as ledger entries; `origins` [n] says whence.

    The catalog is the one that selected, so every index is known.
    """
    made = contacts[positions]
    packed = np.zeros(len(made), ENTRY)
    group = made["group"]
    packed["time_us"] = made["time_us"]
    packed["decision"] = made["decision"]
    packed["expiry_s"] = (made["ends_us"] - made["time_us"]) // SECOND_US
    packed["offer"] = force.catalog.offer_codes[made["offer"]]
    packed["group"] = np.append(force.catalog.group_codes, 0)[group]  # -1, no group, is the last
    packed["channel"] = force.channel_codes[made["channel"]]
    packed["placement"] = force.shelf.placements["code"][made["placement"]]
    packed["origin"] = origins
    return packed.tobytes()


def read(ledger: bytes) -> npt.NDArray[np.void]:
    """Entries of one ledger, for tools and tests."""
    return np.frombuffer(ledger or EMPTY, ENTRY)[1:]
