"""What a key takes in the memory of a server: the sizes its allocator hands out, and what a key consists of.

Redis 7 has a table entry, an object, a key and a value, each allocated by itself. Valkey since 8.1 has one object with
the key in it, the value too where both are small, and buckets of seven. Redis comes with jemalloc; the Valkey that
comes with Takt has the C library's allocator; `INFO` says which (`mem_allocator`). All figures are what `used_memory`
counts.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from takt.redis.server import Server

POINTER: Final = 8
_EMBEDS_SINCE: Final = (8, 1)
_SMALLEST: Final = 24
"""Least usable bytes that the C library hands out; the next are 16 apart."""
_FINE: Final = 128
"""Up to here jemalloc's classes are 16 apart; above, there are four per doubling."""
_EMBEDDED: Final = 128
"""Bytes up to which Valkey keeps key and value in one object."""
_EMBEDDED_VALUE: Final = 44
"""Bytes up to which Redis keeps a value in its object."""
_BUCKET, _PER_BUCKET, _FILL = 64, 7, 0.77
"""Valkey's table: bytes of a bucket, its places, and how full it is before it doubles."""
_NODE_BYTES, _NODE_ENTRIES = 4096, 100
"""`stream-node-max-bytes` and `stream-node-max-entries`, as they are unless set."""
_NODE_INDEX: Final = 56
"""Bytes by which the index of a stream grows with each node of it."""


class Sizes(Struct, frozen=True):
    """The sizes of one kind of server."""

    embeds: bool
    """Whether the key is in the object, as in Valkey since 8.1."""
    jemalloc: bool

    @classmethod
    def of(cls, server: Server | None) -> Sizes:
        """Those of a server that was asked; of the one that comes with Takt where there is none.

        A Valkey before 8.1, and a server that does not say what it is, is taken for a Redis 7.
        """
        if server is None:
            return cls(embeds=True, jemalloc=False)
        kind, _, version = server.version.partition(" ")
        found = re.match(r"(\d+)\.(\d+)", version)
        embeds = kind == "valkey" and found is not None and (int(found[1]), int(found[2])) >= _EMBEDS_SINCE
        return cls(embeds=embeds, jemalloc=server.allocator != "libc")

    @property
    def shown(self) -> str:
        """What is computed with, for people."""
        return f"{'Valkey 8.1 or later' if self.embeds else 'Redis 7'} on {'jemalloc' if self.jemalloc else 'libc'}"

    def allocated(self, size: int) -> int:
        """Bytes that are counted where `size` are asked for."""
        if not self.jemalloc:
            return max(_SMALLEST, (size + 7) // 16 * 16 + 8)
        if size <= POINTER:
            return POINTER
        step = 16 if size <= _FINE else 1 << ((size - 1).bit_length() - 3)
        return -(-size // step) * step

    def text(self, key: int, value: int) -> int:
        """A key of `key` bytes with a value of `value` bytes, without its share of the table."""
        if not self.embeds:
            held = 16 + _text(value, small=False)
            inside = value <= _EMBEDDED_VALUE
            return self._entry(key) + (self.allocated(held) if inside else self.allocated(16) + self._value(value))
        whole = self._named(key) - POINTER + 3 + value + 1
        return self.allocated(whole) if whole <= _EMBEDDED else self.allocated(self._named(key)) + self._value(value)

    def hash(self, key: int, fields: int, field: int, value: int) -> int:
        """A key that lapses with a small hash of `fields`, names of `field` bytes and values of `value` (below 64)."""
        packed = self.allocated(7 + fields * (field + value + 4))
        if self.embeds:
            return self.allocated(self._named(key) + POINTER) + packed
        return self._entry(key) + self.allocated(16) + packed + self.allocated(24)  # its entry among what lapses

    def table(self, keys: int) -> int:
        """The table of so many keys. It doubles as it grows: per key it is dearest just after that."""
        if not keys:
            return 0
        if not self.embeds:
            return POINTER * max(4, 1 << (keys - 1).bit_length())
        buckets = 1
        while buckets * _PER_BUCKET * _FILL < keys:
            buckets *= 2
        return _BUCKET * buckets

    def logged(self, record: int) -> float:
        """An entry of a stream with its share of a node, where records are `record` bytes give or take a tenth.

        Records of one size would all fall on the same side of a class of the allocator; real ones vary.
        """
        tenth = record // 10
        sizes = range(record - tenth, record + tenth + 1, max(1, tenth // 10))
        return sum(map(self._logged, sizes)) / len(sizes)

    def _logged(self, record: int) -> float:
        # flags, time and number since the node's first entry, kind, record, number of fields
        entry = 2 + 3 + 3 + 3 + _packed(record) + 2
        node, entries = 21, 0
        while not entries or (node + record + 3 < _NODE_BYTES and entries < _NODE_ENTRIES):
            node, entries = node + entry, entries + 1
        return (self.allocated(node) + _NODE_INDEX) / entries

    def _entry(self, key: int) -> int:
        return self.allocated(24) + self.allocated(_text(key))

    def _value(self, size: int) -> int:
        return self.allocated(_text(size, small=False))

    def _named(self, key: int) -> int:
        """Valkey's object: header and pointer, the key behind them."""
        return 16 + 1 + _text(key)


def _text(size: int, *, small: bool = True) -> int:
    """Bytes of a text as both servers keep it: its length before it, a zero behind it."""
    header = 1 if small and size < 1 << 5 else 3 if size < 1 << 8 else 5 if size < 1 << 16 else 9
    return header + size + 1


def _packed(size: int) -> int:
    """Bytes of a text in a list that is packed: its length before it, and again behind it."""
    header = 1 if size < 1 << 6 else 2 if size < 1 << 12 else 5
    whole = header + size
    return whole + (1 if whole < 1 << 7 else 2 if whole < 1 << 14 else 3 if whole < 1 << 21 else 4)
