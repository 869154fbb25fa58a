"""`takt.ports.Totals` in plain dictionaries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from takt.clock import Clock
from takt.domain.decision import person_address
from takt.domain.totals import KEPT_AFTER_US, Book, CountedEvent, Pool, Transfer, home_of
from takt.ports import Allotment, Gift, Hold, MarkKind, Spend

PARTITIONS: Final = 8
_CONFIRMS: Final = {
    MarkKind.SHOWN: (CountedEvent.IMPRESSION,),
    MarkKind.CLICKED: (CountedEvent.IMPRESSION, CountedEvent.CLICK),
}


class Held(Struct, frozen=True):
    """A token of one contact in one pool."""

    field: bytes
    decision: int
    offer: int
    placement: int
    counts: CountedEvent


class Part(Struct):
    """One partition."""

    book: Book = field(default_factory=Book)
    holds: dict[Held, int] = field(default_factory=dict)
    """With the time at which each expires."""
    returned: dict[Held, int] = field(default_factory=dict)
    """Tokens that went back, and when."""

    def count(self, name: bytes, units: int) -> None:
        """Count units in a pool, if there is one."""
        pool = self.book.pools.get(name)
        if pool is not None:
            self.book.pools[name] = replace(pool, spent=max(0, pool.spent + units))

    def can(self, spends: Sequence[Spend]) -> bool:
        """Whether every pool is in line with the limit and has as many tokens left as are needed."""
        pools = [self.book.pools.get(spend.field) for spend in spends]
        return all(
            pool is not None and pool.limit == spend.limit and pool.allotted - pool.spent >= spend.need
            for pool, spend in zip(pools, spends, strict=True)
        )

    def spend(self, spends: Sequence[Spend]) -> None:
        """Take tokens, and hold those that may come back."""
        for spend in spends:
            self.count(spend.field, spend.units)
            for hold in spend.holds:
                self.holds[held(spend, hold)] = hold.expires_us

    def send(self, name: bytes, target: int, units: int) -> int:
        """Take tokens out of a pool towards a partition; gives all that ever went there."""
        amount = self.book.given.get((target, name), 0)
        if units > 0:
            pool = self.book.pools[name]
            amount += units
            self.book.given[target, name] = amount
            self.book.pools[name] = replace(pool, allotted=pool.allotted - units)
        return amount


def held(spend: Spend, hold: Hold) -> Held:
    """The token of a hold."""
    return Held(spend.field, hold.decision, hold.offer, hold.placement, spend.counts)


class MemoryTotals:
    """The pools of a store in memory. `lock` is the store's, which calls the methods on parts under it."""

    def __init__(self, clock: Clock, lock: threading.Lock, check_marker: Callable[[], None], partitions: int) -> None:
        self.partitions = partitions
        self.parts = [Part() for _ in range(partitions)]
        self._clock = clock
        self._lock = lock
        self._check_marker = check_marker

    def partition_of(self, profile_id: str) -> int:
        """Partition of a person."""
        return self.partition_at(person_address(profile_id))

    def partition_at(self, address: bytes) -> int:
        """Partition of the person at an address."""
        return int.from_bytes(address[:4], "little") % self.partitions

    def settle(self, address: bytes, contacts: Sequence[tuple[int, int, int]], kind: MarkKind, now_us: int) -> None:
        """Settle the tokens of contacts (decision, offer, placement) that an event has changed. The lock is held."""
        part = self.parts[self.partition_at(address)]
        for name in list(part.book.pools):
            for contact in contacts:
                for counts in (CountedEvent.IMPRESSION, CountedEvent.CLICK):
                    token = Held(name, *contact, counts)
                    if kind is MarkKind.RELEASED:
                        if part.holds.pop(token, None) is not None:
                            part.count(name, -1)
                            part.returned[token] = now_us
                    elif (
                        counts in _CONFIRMS.get(kind, ())
                        and part.holds.pop(token, None) is None
                        and part.returned.pop(token, None) is not None
                    ):
                        part.count(name, 1)

    def spend_holds(self, address: bytes, contacts: Sequence[tuple[int, int, int]]) -> None:
        """Spend for good what contacts (decision, offer, placement) hold. The lock is held."""
        part = self.parts[self.partition_at(address)]
        made = set(contacts)
        for token in [t for t in part.holds if (t.decision, t.offer, t.placement) in made]:
            del part.holds[token]

    def read(self) -> list[Book]:
        """See `takt.ports.Totals`."""
        with self._lock:
            return [Book(dict(p.book.pools), dict(p.book.given), dict(p.book.received)) for p in self.parts]

    def allot(self, allotments: Sequence[Allotment]) -> list[Transfer]:
        """See `takt.ports.Totals`."""
        with self._lock:
            self._check_marker()
            found = [(a, home_of(a.field, self.partitions), self._allot(a)) for a in allotments]
        return [Transfer(a.field, a.partition, home, amount, a.limit, a.ends_us) for a, home, amount in found if amount]

    def give(self, gifts: Sequence[Gift]) -> list[Transfer]:
        """See `takt.ports.Totals`."""
        with self._lock:
            self._check_marker()
            found = [(gift, self._give(gift)) for gift in gifts]
        return [
            Transfer(gift.field, gift.origin, gift.target, amount, gift.limit, gift.ends_us)
            for gift, amount in found
            if amount
        ]

    def receive(self, transfers: Sequence[Transfer]) -> int:
        """See `takt.ports.Totals`."""
        with self._lock:
            self._check_marker()
            return sum(self._receive(transfer) for transfer in transfers)

    def sweep(self, most: int = 1000) -> int:
        """See `takt.ports.Totals`."""
        with self._lock:
            self._check_marker()
            now_us = self._clock.now_us()
            return sum(_sweep(part, now_us, most) for part in self.parts)

    def _allot(self, allotment: Allotment) -> int:
        part = self.parts[allotment.partition]
        home = home_of(allotment.field, self.partitions)
        pool = part.book.pools.get(allotment.field)
        if allotment.partition == home:
            if pool is None:
                part.book.pools[allotment.field] = Pool(allotment.limit, 0, allotment.limit, allotment.ends_us)
            elif pool.limit != allotment.limit:
                part.book.pools[allotment.field] = Pool(
                    pool.allotted + allotment.limit - pool.limit, pool.spent, allotment.limit, allotment.ends_us
                )
            return 0
        if pool is None or pool.limit == allotment.limit:
            return part.book.given.get((home, allotment.field), 0)
        part.book.pools[allotment.field] = replace(pool, limit=allotment.limit, ends_us=allotment.ends_us)
        return part.send(allotment.field, home, pool.left)

    def _give(self, gift: Gift) -> int:
        part = self.parts[gift.origin]
        pool = part.book.pools.get(gift.field)
        usable = pool is not None and pool.limit == gift.limit
        return part.send(gift.field, gift.target, min(gift.units, pool.left) if pool and usable else 0)

    def _receive(self, transfer: Transfer) -> int:
        book = self.parts[transfer.target].book
        units = transfer.amount - book.received.get((transfer.origin, transfer.field), 0)
        if units <= 0:
            return 0
        book.received[transfer.origin, transfer.field] = transfer.amount
        pool = book.pools.get(transfer.field) or Pool(0, 0, transfer.limit, transfer.ends_us)
        book.pools[transfer.field] = replace(pool, allotted=pool.allotted + units)
        return units


def _sweep(part: Part, now_us: int, most: int) -> int:
    """Give back what has expired in one partition; forget windows long ended."""
    expired = sorted((token for token, at in part.holds.items() if at <= now_us), key=part.holds.__getitem__)[:most]
    for token in expired:
        del part.holds[token]
        part.returned[token] = now_us
        part.count(token.field, -1)
    long_ago = now_us - KEPT_AFTER_US
    for token in [token for token, at in part.returned.items() if at < long_ago]:
        del part.returned[token]
    for name in [name for name, pool in part.book.pools.items() if 0 < pool.ends_us < long_ago]:
        del part.book.pools[name]
        for ways in (part.book.given, part.book.received):
            for way in [way for way in ways if way[1] == name]:
                del ways[way]
    return len(expired)
