"""Totals: budgets of contacts across all customers, held in parts by the partitions of the store.

A *pool* is what one partition holds of one total cap in one window. The allotments of all partitions, with what is on
its way between them, add up to the cap's limit, so a partition that spends no more than its own allotment can never
overspend the whole.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from enum import IntEnum
from typing import Final

from msgspec import Struct, field

_POOL: Final = struct.Struct("<qqqq")
_FIELD: Final = struct.Struct("<4sq")
FIELD_BYTES: Final = 12

KEPT_AFTER_US: Final = 2 * 86_400_000_000
"""A pool is kept for this long after its window has ended, and a token that was given back can be claimed by a late
confirmation for this long."""


class CountedEvent(IntEnum):
    """When a token is spent for good. The numbers equal `takt.catalog.snapshot.Counts`."""

    DECISION = 0
    IMPRESSION = 1
    CLICK = 2


class Pool(Struct, frozen=True):
    """What one partition holds of one total cap in one window."""

    allotted: int
    """May be negative where a limit was lowered below what is out."""
    spent: int
    limit: int
    """The whole limit that this pool was last brought in line with; a commit under another limit is refused."""
    ends_us: int
    """End of the window; 0 = never."""

    @property
    def left(self) -> int:
        """Tokens that can be spent."""
        return max(0, self.allotted - self.spent)

    def pack(self) -> bytes:
        """32 bytes, little endian."""
        return _POOL.pack(self.allotted, self.spent, self.limit, self.ends_us)

    @classmethod
    def parse(cls, data: bytes) -> Pool:
        """Read a pool. Raises `struct.error` on any other length."""
        return cls(*_POOL.unpack(data))


class Transfer(Struct, frozen=True):
    """Tokens on their way. `amount` counts all that ever went this way, so taking it in twice changes nothing."""

    field: bytes
    origin: int
    """Partition."""
    target: int
    amount: int
    limit: int
    ends_us: int


class Book(Struct, frozen=True):
    """All that one partition knows of totals."""

    pools: dict[bytes, Pool] = field(default_factory=dict)
    given: dict[tuple[int, bytes], int] = field(default_factory=dict)
    """By target and field: all that ever went there."""
    received: dict[tuple[int, bytes], int] = field(default_factory=dict)
    """By origin and field: all that was ever taken in from there."""


def field_of(cap: str, start_us: int) -> bytes:
    """12 bytes that name a cap's window: 4 of BLAKE2b of the cap's id, and the window's start (0 = for good)."""
    return _FIELD.pack(hashlib.blake2b(cap.encode(), digest_size=4, person=b"takt-total").digest(), start_us)


def window_start(field: bytes) -> int:
    """Start of the window that a field names, microseconds since the epoch; 0 = for good."""
    start_us: int = _FIELD.unpack(field)[1]
    return start_us


def home_of(field: bytes, partitions: int) -> int:
    """The partition that holds the whole limit at first."""
    return zlib.crc32(field) % partitions


def open_transfers(books: list[Book]) -> list[Transfer]:
    """Tokens that were given and not taken in; `books` of all partitions in their order."""
    found = []
    for origin, book in enumerate(books):
        for (target, name), amount in book.given.items():
            pool = book.pools.get(name)
            if pool is not None and books[target].received.get((origin, name), 0) < amount:
                found.append(Transfer(name, origin, target, amount, pool.limit, pool.ends_us))
    return found


def debts_of(books: list[Book]) -> list[tuple[bytes, int, int, int, int, int]]:
    """What partitions have spent beyond their allotment, and who could give it: the fullest first.

    Each as field, origin, target, units, limit and end of the window. A partition is in debt where a contact counts
    that it had no token for: one that was confirmed after its token had gone back, or put back after a fail-over.
    """
    found = []
    for name in sorted({name for book in books for name in book.pools}):
        pools = {p: book.pools[name] for p, book in enumerate(books) if name in book.pools}
        left = {p: pool.left for p, pool in pools.items()}
        for target, pool in pools.items():
            lack = pool.spent - pool.allotted
            for origin in sorted(left, key=lambda p: -left[p]):
                if lack <= 0 or left[origin] == 0:
                    break
                if pools[origin].limit == pool.limit:
                    units = min(lack, left[origin])
                    found.append((name, origin, target, units, pool.limit, pool.ends_us))
                    left[origin] -= units
                    lack -= units
    return found
