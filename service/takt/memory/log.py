"""`takt.ports.DecisionLog` on plain lists."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from takt.clock import Clock
from takt.domain.log import START, LogEntry, LogExtent, LogKind, LogPosition

_POSITION: Final = attrgetter("position")


class MemoryLog:
    """The log of a store in memory. Written under the store's lock; read by anybody."""

    store_id = "memory"

    def __init__(self, clock: Clock, retention_us: int, partitions: int) -> None:
        self.partitions = partitions
        self._clock = clock
        self._retention_us = retention_us
        self._kept: list[list[LogEntry]] = [[] for _ in range(partitions)]
        self._written = [0] * partitions
        self._last = [START] * partitions
        self._legends: dict[str, str] = {}

    def append(self, partition: int, kind: LogKind, record: bytes, outcome: str, ms: int | None = None) -> None:
        """Write an entry at the clock's time, or at `ms`, but behind those that are there."""
        last = self._last[partition]
        at = LogPosition(self._clock.now_us() // 1_000 if ms is None else ms, 0)
        if at <= last:
            at = LogPosition(last.ms, last.sequence + 1)
        self._kept[partition].append(LogEntry(at, kind, bytes(record), str(outcome)))
        self._written[partition] += 1
        self._last[partition] = at

    def extents(self) -> list[LogExtent]:
        """See `takt.ports.DecisionLog`."""
        return [
            LogExtent(len(kept), written, kept[0].position if kept else START, last)
            for kept, written, last in zip(self._kept, self._written, self._last, strict=True)
        ]

    def read(self, partition: int, after: LogPosition, most: int) -> list[LogEntry]:
        """See `takt.ports.DecisionLog`."""
        kept = self._kept[partition]
        first = bisect_right(kept, after, key=_POSITION)
        return kept[first : first + most]

    def trim(self, up_to: Sequence[LogPosition]) -> int:
        """See `takt.ports.DecisionLog`."""
        remembered_ms = (self._clock.now_us() - 2 * self._retention_us) // 1_000
        gone = 0
        for kept, position in zip(self._kept, up_to, strict=True):
            end = bisect_right(kept, position, key=_POSITION)
            while end and kept[end - 1].position.ms >= remembered_ms:
                end -= 1
            del kept[:end]
            gone += end
        return gone

    def legends(self) -> dict[str, str]:
        """See `takt.ports.DecisionLog`."""
        return dict(self._legends)

    def register_legend(self, catalog: str, legend: str) -> None:
        """See `takt.ports.DecisionLog`."""
        self._legends.setdefault(catalog, legend)
