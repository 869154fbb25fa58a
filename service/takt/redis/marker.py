"""The marker: what tells the store that was chosen from one that came back empty.

Every partition bears the same marker. A partition without it has lost its data, and with it the contacts of its
people: nobody is contacted from it until somebody who knows what happened has looked. The numbers that all replicas
must agree on are part of it.
"""

from __future__ import annotations

import re
import secrets
from itertools import chain
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from takt.clock import MINUTE_US, SECOND_US
from takt.errors import StoreError, StoreMarkerError
from takt.redis import keys
from takt.redis.server import inspect
from takt.redis.wire import Address, Wire

RETENTION_US: Final = 15 * MINUTE_US
_FORMAT: Final = re.compile(rb"takt1 ([0-9a-f]{32}) (\d+) (\d+) (\d+)(?: (\d+))?")
_INIT: Final = "takt store init"


class Marker(Struct, frozen=True):
    """Which store this is, and what was chosen for it once."""

    store_id: str
    """32 hexadecimal digits, random."""
    partitions: int
    epoch: int
    """Counts how often people have said that they know of a loss and go on."""
    retention_us: int
    """How long request and event ids are remembered at least; at most twice that."""
    edition: int = 0
    """Number of the catalog's edition that is in force in a partition; 0 where none was ever applied. The one part that
    changes, and may differ between partitions for a moment."""

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= keys.MAX_PARTITIONS:
            raise StoreError(f"{self.partitions} partitions; between 1 and {keys.MAX_PARTITIONS} are possible")
        if self.retention_us < SECOND_US:
            raise StoreError(f"ids are to be remembered for {self.retention_us} us; at least a second is needed")

    def pack(self) -> bytes:
        """Bytes under every partition's marker key."""
        edition = f" {self.edition}" if self.edition else ""
        return f"takt1 {self.store_id} {self.partitions} {self.epoch} {self.retention_us}{edition}".encode()

    def without_edition(self) -> Marker:
        """What never changes of it."""
        return replace(self, edition=0)

    @classmethod
    def parse(cls, data: bytes) -> Marker:
        """Read a marker. Raises `StoreMarkerError`."""
        found = _FORMAT.fullmatch(data)
        if found is None:
            raise StoreMarkerError(f"{data[:80]!r} stands where a marker should be; another program uses these keys")
        return cls(found[1].decode(), int(found[2]), int(found[3]), int(found[4]), int(found[5] or 0))


def init_store(
    address: Address, *, partitions: int = keys.DEFAULT_PARTITIONS, retention_us: int = RETENTION_US
) -> Marker:
    """Make an empty server a store. Raises `StoreMarkerError` if it is one already, or was once and lost a part."""
    wire = Wire(address)
    try:
        return init_wire(wire, partitions=partitions, retention_us=retention_us)
    finally:
        wire.close()


def init_wire(wire: Wire, *, partitions: int = keys.DEFAULT_PARTITIONS, retention_us: int = RETENTION_US) -> Marker:
    """Do as `init_store` does, on connections that are there."""
    marker = Marker(secrets.token_hex(16), partitions, 1, retention_us)
    (first, *others) = found = _markers(wire, keys.MAX_PARTITIONS)
    if first is not None:
        raise StoreMarkerError(
            f"{wire.shown}: is a store already ({Marker.parse(first).store_id}); it is left as it is"
        )
    if any(others):
        raise StoreMarkerError(
            f"{wire.shown}: has lost partition 0 of a store that had at least {sum(map(bool, found))} more; restore "
            "its data, or empty it first if it is to be a new store"
        )
    pairs = [(keys.marker(at), marker.pack()) for at in range(partitions)]
    if inspect(wire).cluster:
        # one command may not span slots: whoever has partition 0 writes the others
        (won,) = wire.call("init", [("SETNX", *pairs[0])])
        wire.call("init", [("SETNX", *pair) for pair in pairs[1:]] if won else [])
    else:
        (won,) = wire.call("init", [("MSETNX", *chain.from_iterable(pairs))])
    if not won:
        raise StoreMarkerError(
            f"{wire.shown}: was made a store by somebody else at the same moment; it is left as it is"
        )
    return marker


def read_marker(wire: Wire, store_id: str | None = None) -> Marker:
    """Read the marker and find it in every partition; `store_id` is the one expected, None for any.

    Raises `StoreMarkerError`, with what to do about it.
    """
    (data,) = wire.call("marker", [("GET", keys.marker(0))])
    if data is None:
        raise StoreMarkerError(
            f"{wire.shown}: bears no marker: it is new, or it lost its data. If it is new, run `{_INIT}` once; if it "
            "was in use, restore its data first, because the contacts in it are what the caps are counted from"
        )
    marker = Marker.parse(data).without_edition()
    if store_id is not None and marker.store_id != store_id:
        raise StoreMarkerError(
            f"{wire.shown}: is store {marker.store_id}, not {store_id}, which this service was set up with"
        )
    check_marker(wire, marker)
    return marker


def check_marker(wire: Wire, marker: Marker) -> None:
    """Raise `StoreMarkerError` unless every partition bears this marker, of whatever edition. One round trip."""
    wanted = marker.without_edition().pack()
    found = _markers(wire, marker.partitions)
    wrong = [at for at, data in enumerate(found) if data != wanted and not (data or b"").startswith(wanted + b" ")]
    if not wrong:
        return
    some = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
    raise StoreMarkerError(
        f"{wire.shown}: {len(wrong)} of {marker.partitions} partitions ({some}) do not bear the marker of store "
        f"{marker.store_id}: it lost data, or it is another store. Nobody is contacted from it; restore its data"
    )


def _markers(wire: Wire, partitions: int) -> list[Any]:
    # single reads, because in a cluster one command may not span slots
    return wire.call("marker", [("GET", keys.marker(at)) for at in range(partitions)])
