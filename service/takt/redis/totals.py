"""`takt.ports.Totals` on Redis or Valkey. The layout of pools and counts is told in `functions.lua`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from takt.clock import SECOND_US, SystemClock
from takt.domain.totals import Book, Transfer, debts_of, home_of
from takt.errors import StoreMarkerError
from takt.ports import Allotment, Gift, Spend
from takt.redis import frames, keys
from takt.redis.calls import Calls, Unit

CLOSED_US: Final = 3 * SECOND_US
"""How long totals wait after a fail-over: every replica that can reach the store has noticed it within half of that."""
_ALLOT: Final = struct.Struct("<12sqqHB")
_GIVE: Final = struct.Struct("<12sHqq")
_RECEIVE: Final = struct.Struct("<12sHqqq")
_MOST: Final = struct.Struct("<I")
_AMOUNT: Final = struct.Struct("<q")
_WAY: Final = struct.Struct("<H12s")


class RedisTotals:
    """The pools of one store. Safe to use from many threads; every call may raise `StoreError`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._ends_us: dict[bytes, int] = {}
        """When the windows end that were seen, by field; not those that were seen no more."""
        self._clock = SystemClock()
        self._closed_until_us = 0
        self.partitions = calls.marker.partitions

    @property
    def closed(self) -> bool:
        """Whether totals wait: others may still have to put back what they were told by the server before."""
        return self._clock.monotonic_us() < self._closed_until_us

    def close(self) -> None:
        """Let totals wait for a while."""
        self._closed_until_us = self._clock.monotonic_us() + CLOSED_US

    def read(self) -> list[Book]:
        """See `takt.ports.Totals`. While totals are closed there seem to be none."""
        return [Book() for _ in range(self.partitions)] if self.closed else self._read()

    def allot(self, allotments: Sequence[Allotment]) -> list[Transfer]:
        """See `takt.ports.Totals`. While totals are closed nothing is done."""
        return [] if self.closed else self._allot(allotments)

    def settle_debts(self) -> None:
        """Let partitions that have spent more than they had be paid by others."""
        debts = [Gift(*debt) for debt in debts_of(self._read())]
        if debts:
            self.receive(self.give(debts))

    def _read(self) -> list[Book]:
        kept = [keys.totals(partition) for partition in range(self.partitions)]
        commands = [("HGETALL", key) for of in kept for key in (of.pools, of.given, of.received)]
        replies = self._calls.wire.call("transfer", commands)
        books = [
            Book(frames.pools(pools), _ways(given), _ways(received))
            for pools, given, received in zip(replies[::3], replies[1::3], replies[2::3], strict=True)
        ]
        seen = {name: pool.ends_us for book in books for name, pool in book.pools.items()}
        if seen:
            self._ends_us = seen
        return books

    def reopened(self, spends: Sequence[Spend]) -> dict[bytes, int]:
        """See to it that totals which were spent from are open, after a fail-over; when their windows end, by field.

        A window that nobody has seen is missing.
        """
        wanted = {spend.field: spend.limit for spend in spends}
        if not wanted:
            return {}
        before = self._ends_us
        books = self._read()
        known = before | self._ends_us
        ends_us = {field: known[field] for field in wanted if field in known}
        self._allot(
            [
                Allotment(home, field, wanted[field], end_us)
                for field, end_us in ends_us.items()
                if field not in books[home := home_of(field, self.partitions)].pools
            ]
        )
        return ends_us

    def _allot(self, allotments: Sequence[Allotment]) -> list[Transfer]:
        units, homes = [], []
        for a in allotments:
            self._ends_us.setdefault(a.field, a.ends_us)
            home = home_of(a.field, self.partitions)
            homes.append(home)
            of = keys.totals(a.partition)
            frame = _ALLOT.pack(a.field, a.limit, a.ends_us, home, a.partition == home)
            units.append(Unit(a.partition, (of.marker, of.pools, of.given), frame))
        return [
            Transfer(a.field, a.partition, home, amount, a.limit, a.ends_us)
            for a, home, amount in zip(allotments, homes, self._run("transfer", "takt_allot_v1", units), strict=True)
            if amount
        ]

    def give(self, gifts: Sequence[Gift]) -> list[Transfer]:
        """See `takt.ports.Totals`."""
        units = []
        for gift in gifts:
            of = keys.totals(gift.origin)
            frame = _GIVE.pack(gift.field, gift.target, gift.units, gift.limit)
            units.append(Unit(gift.origin, (of.marker, of.pools, of.given), frame))
        return [
            Transfer(gift.field, gift.origin, gift.target, amount, gift.limit, gift.ends_us)
            for gift, amount in zip(gifts, self._run("transfer", "takt_give_v1", units), strict=True)
            if amount
        ]

    def receive(self, transfers: Sequence[Transfer]) -> int:
        """See `takt.ports.Totals`."""
        units = []
        for t in transfers:
            of = keys.totals(t.target)
            frame = _RECEIVE.pack(t.field, t.origin, t.amount, t.limit, t.ends_us)
            units.append(Unit(t.target, (of.marker, of.pools, of.received), frame))
        return sum(self._run("transfer", "takt_receive_v1", units))

    def sweep(self, most: int = 1000) -> int:
        """See `takt.ports.Totals`."""
        units = [Unit(p, tuple(keys.totals(p)), _MOST.pack(most)) for p in range(self.partitions)]
        return sum(self._run("sweep", "takt_sweep_v1", units))

    def _run(self, name: str, function: str, units: Sequence[Unit]) -> list[int]:
        """The number that a function answers to each unit. Raises `StoreMarkerError` on a missing marker."""
        numbers = []
        for unit, (answer, _) in zip(units, self._calls.run(name, function, units), strict=True):
            if isinstance(answer, int):
                raise StoreMarkerError(
                    f"{self._calls.wire.shown}: partition {unit.partition} does not bear the marker of store "
                    f"{self._calls.marker.store_id}: it lost data, or it is another store; restore its data"
                )
            numbers.append(int(answer[0]))
        return numbers


def _ways(flat: Sequence[Any]) -> dict[tuple[int, bytes], int]:
    """Amounts by partition and field."""
    return {_WAY.unpack(way): _AMOUNT.unpack(data)[0] for way, data in zip(flat[::2], flat[1::2], strict=True)}
