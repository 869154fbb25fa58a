"""What the contract suite needs of a store beyond its contract: to look inside, and to break it."""

from __future__ import annotations

from typing import Any, Protocol, cast

import redis

from takt.clock import ManualClock
from takt.domain.decision import person_address
from takt.domain.log import LogKind
from takt.memory.store import MemoryStore
from takt.ports import Store
from takt.redis import keys
from takt.redis.functions import Mode
from takt.redis.marker import init_store
from takt.redis.store import RedisStore
from takt.redis.wire import Address

NOW_US = 1_760_000_000_000_000
RETENTION_US = 15 * 60 * 1_000_000


class Harness(Protocol):
    """A fresh store, with the handles that a test may pull."""

    clock: ManualClock
    store: Store

    def log(self) -> list[tuple[str, bytes]]:
        """Give all that was logged: `takt.domain.log.LogKind`, and the record; in order within a person."""
        ...

    def log_at(self, partition: int, ms: int, record: bytes) -> None:
        """Log a decision as if at another time."""
        ...

    def overwrite_ledger(self, profile_id: str, data: bytes) -> None:
        """Put any bytes where a ledger should be."""
        ...

    def lose_marker(self, profile_id: str) -> None:
        """Take away the marker that guards a person."""
        ...

    def lose_partition_0(self) -> None:
        """Take away the marker of the partition that knows the catalog."""
        ...

    def lose_totals(self) -> None:
        """Forget all about totals."""
        ...


class MemoryHarness:
    """A store in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_US)
        self._memory = MemoryStore(self.clock, retention_us=RETENTION_US)
        self.store: Store = self._memory

    def log(self) -> list[tuple[str, bytes]]:
        """See `Harness`."""
        return list(self._memory.log)

    def log_at(self, partition: int, ms: int, record: bytes) -> None:
        """See `Harness`."""
        self._memory.decision_log.append(partition, LogKind.DECISION, record, "", ms)

    def overwrite_ledger(self, profile_id: str, data: bytes) -> None:
        """See `Harness`."""
        self._memory.ledgers[person_address(profile_id)] = data

    def lose_marker(self, profile_id: str) -> None:  # noqa: ARG002 -- it guards everybody
        """See `Harness`."""
        self._memory.marked = False

    def lose_partition_0(self) -> None:
        """See `Harness`."""
        self._memory.marked = False

    def lose_totals(self) -> None:
        """See `Harness`."""
        for part in self._memory.totals.parts:
            for kept in (part.book.pools, part.book.given, part.book.received, part.holds, part.returned):
                kept.clear()


class RedisHarness:
    """A store on a real server, emptied and made anew."""

    def __init__(self, url: str, *, mode: Mode = "auto", partitions: int = 8) -> None:
        self.clock = ManualClock(NOW_US)
        self.client = redis.Redis.from_url(url, protocol=2)
        self.client.flushall()
        self.address = Address(url, timeout_s=10.0)
        self.marker = init_store(self.address, partitions=partitions, retention_us=RETENTION_US)
        self.redis_store = RedisStore.open(self.address, clock=self.clock, mode=mode)
        self.store: Store = self.redis_store

    def close(self) -> None:
        """Give back connections."""
        self.store.close()
        self.client.close()

    def person(self, profile_id: str) -> keys.PersonKeys:
        """Keys of a person in this store."""
        return keys.person(profile_id, self.marker.partitions)

    def log(self) -> list[tuple[str, bytes]]:
        """See `Harness`."""
        kinds = {b"d": "decision", b"f": "feedback", b"c": "change", b"n": "consent"}
        return [
            (kinds[fields[b"t"]], fields[b"r"])
            for partition in range(self.marker.partitions)
            for _, fields in cast("list[Any]", self.client.xrange(keys.log(partition)))
        ]

    def log_at(self, partition: int, ms: int, record: bytes) -> None:
        """See `Harness`."""
        self.client.xadd(keys.log(partition), {"t": "d", "r": record}, id=f"{ms}-*")

    def overwrite_ledger(self, profile_id: str, data: bytes) -> None:
        """See `Harness`."""
        self.client.set(self.person(profile_id).ledger, data)

    def lose_marker(self, profile_id: str) -> None:
        """See `Harness`."""
        self.client.delete(self.person(profile_id).marker)

    def lose_partition_0(self) -> None:
        """See `Harness`."""
        self.client.delete(keys.marker(0))

    def lose_totals(self) -> None:
        """See `Harness`."""
        for partition in range(self.marker.partitions):
            self.client.delete(*keys.totals(partition)[1:])
