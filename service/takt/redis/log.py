"""`takt.ports.DecisionLog` on Redis or Valkey: one stream per partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from takt.domain.log import START, LogEntry, LogExtent, LogKind, LogPosition
from takt.errors import StoreError
from takt.ports import MarkOutcome
from takt.redis import keys
from takt.redis.marker import Marker
from takt.redis.wire import Wire, explained

_KINDS: Final = {b"d": LogKind.DECISION, b"f": LogKind.FEEDBACK, b"c": LogKind.CHANGE, b"n": LogKind.CONSENT}
_OUTCOMES: Final = {b"A": MarkOutcome.APPLIED, b"L": MarkOutcome.LATE, b"O": MarkOutcome.ORPHAN}
_NO_STREAM: Final = "no such key"
_FEW: Final = 8
_GENERATIONS: Final = 2
"""An id is remembered for at most so many times the retention."""


class RedisLog:
    """The log of one store. Safe to use from many threads; every call may raise `StoreError`."""

    def __init__(self, wire: Wire, marker: Marker) -> None:
        self._wire = wire
        self._retention_us = marker.retention_us
        self.store_id = marker.store_id
        self.partitions = marker.partitions

    def extents(self) -> list[LogExtent]:
        """See `takt.ports.DecisionLog`."""
        replies = self._wire.attempt("log", [("XINFO", "STREAM", keys.log(p)) for p in range(self.partitions)])
        return [self._extent(reply) for reply in replies]

    def read(self, partition: int, after: LogPosition, most: int) -> list[LogEntry]:
        """See `takt.ports.DecisionLog`."""
        command = ("XRANGE", keys.log(partition), f"({after}", "+", "COUNT", most)
        (found,) = self._wire.call("log", [command])
        return [_entry(name, fields) for name, fields in found]

    def usual_bytes(self) -> int:
        """Mean size of the record of a decision, of the oldest few of each partition; 0 if there is none."""
        commands = [("XRANGE", keys.log(p), "-", "+", "COUNT", _FEW) for p in range(self.partitions)]
        entries = [_entry(*one) for found in self._wire.call("log", commands) for one in found]
        sizes = [len(entry.record) for entry in entries if entry.kind is LogKind.DECISION]
        return round(sum(sizes) / len(sizes)) if sizes else 0

    def trim(self, up_to: Sequence[LogPosition]) -> int:
        """See `takt.ports.DecisionLog`. Two round trips, one of them to ask for the time."""
        (time,) = self._wire.call("trim", [("TIME",)])
        remembered_ms = int(time[0]) * 1_000 - _GENERATIONS * self._retention_us // 1_000
        commands = [
            ("XTRIM", keys.log(partition), "MINID", str(min(_next(position), LogPosition(remembered_ms, 0))))
            for partition, position in enumerate(up_to)
            if position != START
        ]
        return sum(self._wire.call("trim", commands)) if commands else 0

    def legends(self) -> dict[str, str]:
        """See `takt.ports.DecisionLog`."""
        (flat,) = self._wire.call("legends", [("HGETALL", keys.LEGENDS)])
        return {name.decode(): text.decode() for name, text in zip(flat[::2], flat[1::2], strict=True)}

    def register_legend(self, catalog: str, legend: str) -> None:
        """See `takt.ports.DecisionLog`."""
        self._wire.call("legends", [("HSETNX", keys.LEGENDS, catalog, legend)])

    def _extent(self, reply: Any) -> LogExtent:
        if isinstance(reply, ResponseError):
            if _NO_STREAM in str(reply):
                return LogExtent(0, 0, START, START)
            raise StoreError(f"{self._wire.shown}: {explained(reply)}")
        told = dict(zip(reply[::2], reply[1::2], strict=True))
        first = told[b"first-entry"]
        return LogExtent(
            entries=told[b"length"],
            written=told[b"entries-added"],
            first=_position(first[0]) if first else START,
            last=_position(told[b"last-generated-id"]),
        )


def _position(name: bytes) -> LogPosition:
    ms, _, sequence = name.partition(b"-")
    return LogPosition(int(ms), int(sequence))


def _next(position: LogPosition) -> LogPosition:
    return LogPosition(position.ms, position.sequence + 1)


def _entry(name: bytes, fields: Sequence[bytes]) -> LogEntry:
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    outcome = told.get(b"o")
    return LogEntry(_position(name), _KINDS[told[b"t"]], told[b"r"], _OUTCOMES[outcome].value if outcome else "")
